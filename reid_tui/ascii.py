"""Everything in ASCII, for terminals without UTF-8: each character becomes as many as it has cells."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from rich.cells import cell_len, split_graphemes

# With the letter before it, which an accent may belong to; never with a control character.
_FOREIGN = re.compile(r"[ -~]?[^\x00-\x7f]+")
_BRAILLE = range(0x2800, 0x2900)
_SAME_WIDTH = {
    "✔": "v", "✘": "x", "■": "#", "▶": ">", "▷": ">", "❚": "|", "★": "*", "●": "@", "○": "o", "◌": "o", "▲": "^",
    "◆": "%", "•": "*", "·": "-", "–": "-", "—": "-", "−": "-", "…": "~", "×": "x", "→": ">", "←": "<", "↑": "^",
    "↓": "v", "⏎": "<", "“": '"', "”": '"', "‘": "'", "’": "'", "≥": ">", "≤": "<", "°": "o", "±": "~",
    "━": "=", "╸": "-", "╺": "-", "┄": ".", "─": "-", "│": "|", "┃": "|", "┤": "+", "└": "+",
    "▼": "v", "◀": "<", "█": "#", "▓": "#", "▒": "+", "░": ".", "▌": "|", "▐": "|", "▔": "-", "▏": "|", "▕": "|",
    "⌂": "!", "□": "=", "△": "A", "◇": "&", "▸": ">", "◂": "<", "✓": "v", "❯": ">", "\u00a0": " ",
}  # fmt: skip
# Rows of dots of a braille cell (1: the top, 8: the bottom) as the sign that is nearest to their height.
_ROWS = {0: " ", 1: "'", 2: "-", 4: "-", 8: "_", 3: "'", 6: "-", 12: ".", 5: ":", 10: ":", 9: ":"}


def _braille(dots: int) -> str:
    rows = [dots & 0x09, dots & 0x12, dots & 0x24, dots & 0xC0]
    return _ROWS.get(sum(1 << number for number, row in enumerate(rows) if row), "|")


@lru_cache(4096)
def _sign(grapheme: str) -> str:
    if grapheme.isascii():
        return grapheme
    width = cell_len(grapheme)
    if len(grapheme) == 1:
        code = ord(grapheme)
        if code in _BRAILLE:
            return _braille(code - 0x2800)
        if 0x2500 <= code < 0x2580 and grapheme not in _SAME_WIDTH:
            return "+"  # corners and crossings of lines
        if 0x2580 <= code < 0x25A0 and grapheme not in _SAME_WIDTH:
            return "#"  # parts of blocks
        if 0x2400 <= code < 0x2422:
            return "?"  # pictures of control characters
        if grapheme in _SAME_WIDTH:
            return _SAME_WIDTH[grapheme]
    if (letter := unicodedata.normalize("NFKD", grapheme)[0]).isascii():  # and its accents
        return letter.ljust(width, "?")
    return "?" * width


def to_ascii(text: str) -> str:
    """The same text in ASCII, in as many cells. Escape sequences are ASCII, and stay."""
    if text.isascii():
        return text
    return _FOREIGN.sub(_replaced, text)


def _replaced(match: re.Match[str]) -> str:
    text = match[0]
    spans, _ = split_graphemes(text)
    return "".join(_sign(text[start:stop]) for start, stop, _ in spans)
