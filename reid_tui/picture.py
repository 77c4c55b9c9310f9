"""What the terminal shows, cell by cell, so that only what has changed is sent.

Textual sends all of a widget that is refreshed, however little of it is new: of a line of numbers two digits, of a
curve a few dots. Here is its one door to the terminal, for every screen. The picture is the same, in fewer bytes:

* a full update is sent whole, for that is how a screen is repaired that somebody else has written on;
* of a partial one the cells are sent that differ from those on the terminal, with a style only where it changes;
* a piece of a line that has characters which not all terminals give as many cells is sent whole, as Textual has it, and
  what is right of it is taken for unknown.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

UNKNOWN = ""
MOST_REPEATED = 3  # bytes of unchanged cells that are sent again, rather than a sequence that goes over them


class Look(NamedTuple):
    """The parameters of SGR that a cell is drawn with."""

    attributes: str = ""
    front: str = ""
    back: str = ""


PLAIN = Look()


class Sequences(CompositorUpdate):
    """What is to be written, made already."""

    def __init__(self, text: str) -> None:
        self.text = text

    def render_segments(self, console: Console) -> str:
        return self.text


class _Row:
    def __init__(self, width: int) -> None:
        self.texts = [UNKNOWN] * width
        self.looks = [PLAIN] * width


class Picture:
    """The cells of one terminal as they were sent last; nothing is known of them in the beginning."""

    def __init__(self) -> None:
        self._rows: dict[int, _Row] = {}

    def forget(self) -> None:
        """The terminal may show something else by now."""
        self._rows.clear()

    def changes(self, update: CompositorUpdate, console: Console) -> CompositorUpdate | None:
        """What has to be written for an update, None for nothing; from now on the terminal is taken to show it."""
        if isinstance(update, LayoutUpdate):
            self.forget()
            pieces, width = _pieces_of_layout(update), update.region.right
        elif isinstance(update, ChopsUpdate):
            pieces, width = _pieces_of_chops(update), update.chop_ends[0][-1]
        else:
            return update
        pen = _Pen(console)
        for y, x, strip in pieces:
            row = self._rows.get(y)
            if row is None or len(row.texts) != width:
                row = self._rows[y] = _Row(width)
            if all(_is_simple(text) and not (style and style.link) for text, style, _ in strip):
                _draw(row, y, x, strip, pen)
            else:
                row.texts[x:] = [UNKNOWN] * (width - x)
                pen.write_whole(y, x, strip)
        written = pen.finished()
        return Sequences(written) if written else None


def _pieces_of_layout(update: LayoutUpdate) -> Iterator[tuple[int, int, Strip]]:
    """Line, first column, and what stands there."""
    for y, strips in enumerate(update.strips, update.region.y):
        x = update.region.x
        for strip in strips:
            yield y, x, strip
            x += strip.cell_length


def _pieces_of_chops(update: ChopsUpdate) -> Iterator[tuple[int, int, Strip]]:
    """The same, in the parts that Textual would send."""
    for y, start, stop in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is not None and x < stop and end > start:
                yield y, x, strip if end <= stop else strip.crop(0, stop - x)


def _draw(row: _Row, y: int, x: int, strip: Strip, pen: _Pen) -> None:
    """Send the cells of a piece that are not on the terminal already."""
    texts, looks = row.texts, row.looks
    for segment in strip:
        text, style = segment.text, segment.style
        stop = min(x + len(text), len(texts))
        look = pen.look(style)
        before, looked, same_looks = "".join(texts[x:stop]), looks[x:stop], [look] * (stop - x)
        if before != text or looked != same_looks:
            if not before or look not in looked:  # all of it is new
                pen.write(row, y, x, text[: stop - x], look)
            else:
                for at, character in enumerate(text[: stop - x], x):
                    if texts[at] != character or looks[at] != look:
                        pen.write(row, y, at, character, look)
            texts[x:stop], looks[x:stop] = text[: stop - x], same_looks
        x = stop


class _Pen:
    """Writes cells one after another, and says where they go and how they look only where that is something new."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._colours = console._color_system or ColorSystem.TRUECOLOR
        self._parts: list[str] = []
        self._look = PLAIN
        self._y = self._x = -1

    def look(self, style: Style | None) -> Look:
        return _look(Strip.render_ansi(style, self._colours)) if style else PLAIN

    def write(self, row: _Row, y: int, x: int, text: str, look: Look) -> None:
        if y != self._y or x < self._x:
            self._parts.append(f"\x1b[{y + 1};{x + 1}H")
        elif x > self._x:
            self._go_on(row, x)
        if look != self._look:
            self._parts.append(_change(self._look, look))
            self._look = look
        self._parts.append(text)
        self._y, self._x = y, x + len(text)

    def _go_on(self, row: _Row, x: int) -> None:
        """Over cells that are as they are to be."""
        between = "".join(row.texts[self._x : x])
        alike = row.looks[self._x : x] == [self._look] * (x - self._x)
        if alike and len(between) == x - self._x and len(between.encode()) <= MOST_REPEATED:
            self._parts.append(between)
        else:
            self._parts.append(f"\x1b[{x - self._x}C" if x - self._x > 1 else "\x1b[C")

    def write_whole(self, y: int, x: int, strip: Strip) -> None:
        """As Textual has it. Where the cursor is after it is not known."""
        self._parts.append(f"{self._plain()}\x1b[{y + 1};{x + 1}H{strip.render(self._console)}")
        self._y = self._x = -1

    def _plain(self) -> str:
        sequence = "" if self._look == PLAIN else "\x1b[0m"
        self._look = PLAIN
        return sequence

    def finished(self) -> str:
        """Everything that was written; the next one who writes begins without a style."""
        self._parts.append(self._plain())
        return "".join(self._parts)


@lru_cache(4096)
def _look(parameters: str) -> Look:
    """The parameters of an SGR sequence, by what they are about."""
    attributes, front, back = [], "", ""
    codes = parameters.split(";") if parameters else []
    while codes:
        code = codes.pop(0)
        value = code
        if code in {"38", "48"}:  # 5;n or 2;r;g;b
            length = 2 if codes[:1] == ["5"] else 4
            value = ";".join([code, *codes[:length]])
            del codes[:length]
        if _is_colour(int(code), 30):
            front = value
        elif _is_colour(int(code), 40):
            back = value
        else:
            attributes.append(value)
    return Look(";".join(attributes), front, back)


def _is_colour(code: int, first: int) -> bool:
    return first <= code <= first + 9 or first + 60 <= code <= first + 67


@lru_cache(4096)
def _change(before: Look, after: Look) -> str:
    """From one look to another in few bytes: what is the same is not said again."""
    if before.attributes != after.attributes:
        parts = ["0", *filter(None, after)]
    else:
        parts = [after.front or "39"] * (before.front != after.front)
        parts += [after.back or "49"] * (before.back != after.back)
    return f"\x1b[{';'.join(parts)}m"


@lru_cache(4096)
def _is_simple(text: str) -> bool:
    """Whether every terminal gives each of the characters one cell, in this order."""
    return (text.isascii() and text.isprintable()) or all(map(_takes_one_cell, text))


@lru_cache(4096)
def _takes_one_cell(character: str) -> bool:
    # Latin, Greek and Cyrillic; signs, lines, blocks and braille. Behind the first comes what is written from right to
    # left or shaped, behind the second what is wide, and pictures.
    if not (character < "\u0590" or "\u2010" <= character < "\u2e80"):
        return False
    if unicodedata.east_asian_width(character) in {"W", "F"}:
        return False
    return unicodedata.category(character)[0] not in "CMZ" or character in " \u00a0"
