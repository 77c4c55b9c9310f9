"""How the machine is: a line for each GPU, and the rest in as many lines as the width needs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from textual.content import Content

from core.events import Gpu, System
from core.gpus import gpu_of
from core.printable import clean
from core.run_state import RunState
from reid_tui.text import clock, plural
from reid_tui.widgets.panel import Panel

MOST_GPUS = 8
MOST_SPARKS, LEAST_SPARKS = 24, 4
HOT = 85.0  # degrees: about where GPUs begin to slow down
FULL = 0.95  # of the memory, and
DATA_WAIT = 0.5  # of the training: as the alerts have them
DIM = "$foreground 55%"
_SPARKS = "▁▂▃▄▅▆▇█"


def sparks(shares: Sequence[float], width: int) -> str:
    """The newest shares (0..1) as bars, one a cell; a blank where one is not known."""
    newest = list(shares)[-width:] if width > 0 else []
    bars = [" " if math.isnan(share) else _SPARKS[min(int(max(share, 0.0) * 8), 7)] for share in newest]
    return "".join(bars).rjust(width)


def gib(size: float, digits: int = 1) -> str:
    """Bytes in GiB: "5.3"; from a hundred on without decimals."""
    value = size / 2**30
    return f"{value:.{0 if value >= 100 else digits}f}"


def size_words(size: float) -> str:
    """ "812 MiB", "5.3 GiB", "1.8 TiB"."""
    for unit, bytes_of_it in (("TiB", 2**40), ("GiB", 2**30)):
        if size >= bytes_of_it:
            return f"{size / bytes_of_it:.{0 if size >= 100 * bytes_of_it else 1}f} {unit}"
    return f"{size / 2**20:.0f} MiB"


def share_words(share: float) -> str:
    return f"{100 * share:.0f} %"


def _parts(gpu: Gpu, width: int) -> list[tuple[str, str, bool]]:
    """What there is to say of a GPU, the most important first: text, colour, and whether it is worth a `!`.

    As wide as what its neighbours say, so that they stand in columns.
    """
    parts: list[tuple[str, str, bool]] = []
    if not math.isnan(gpu.utilisation):
        parts.append((f"{share_words(gpu.utilisation):>5}", "bold", False))
    if gpu.memory_total > 0 and not math.isnan(gpu.memory_used):
        full = gpu.memory_used > FULL * gpu.memory_total
        unit = " GiB" if width >= 42 else "G"
        text = f"{gib(gpu.memory_used):>4}/{gib(gpu.memory_total, 0)}{unit}"
        parts.append((text, "bold $error" if full else "$foreground", full))
    if not math.isnan(gpu.temperature):
        hot = gpu.temperature >= HOT
        parts.append((f"{gpu.temperature:>2.0f} °C", "bold $warning" if hot else "$foreground", hot))
    if not math.isnan(gpu.power):
        limit = f"/{gpu.power_limit:.0f}" if width >= 70 and not math.isnan(gpu.power_limit) else ""
        parts.append((f"{gpu.power:>3.0f}{limit} W", "$foreground", False))
    return parts


def gpu_line(gpu: Gpu, history: Sequence[float], width: int, *, used: bool) -> Content:
    """One GPU: its number, marked where the run trains on it, and as much else as fits; its history in between."""
    mark, colour = ("▸", "bold $primary") if used else ("·", "") if gpu.ours else (" ", DIM)
    head = Content.styled(f"{mark}GPU {gpu.index}" if width >= 34 else f"{mark}{gpu.index}", colour)
    tail = Content("")
    parts = _parts(gpu, width)
    before = " "
    for text, style, flagged in parts:
        longer = Content.assemble(tail, before, (text, style))
        if head.cell_length + longer.cell_length + flagged > width:
            break
        tail, before = longer, "!" if flagged else " "  # the sign takes the cell between two columns
    if before == "!":
        tail = Content.assemble(tail, before)
    if not parts:
        tail = Content.styled(" tells nothing", DIM)
    room = width - head.cell_length - tail.cell_length - 1
    middle = Content("")
    if room >= LEAST_SPARKS and any(not math.isnan(share) for share in history):
        middle = Content.styled(
            " " + sparks(history, min(room, MOST_SPARKS, max(len(history), LEAST_SPARKS))), "$primary"
        )
    name = Content("")
    room -= max(middle.cell_length - 1, 0)
    if room >= 14:
        name = Content.styled("  " + clean(gpu.name), DIM).truncate(room, ellipsis=True)
    line = Content.assemble(head, middle, tail, name)
    return (line if gpu.ours else line.stylize(DIM)).truncate(width, ellipsis=True)


class SystemPanel(Panel):
    """GPUs, CPU, memory, disk, and the share of the training that was spent waiting for images."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("System", id=id)
        self._state = RunState()
        self._as_of = ""

    def show(self, state: RunState) -> None:
        self._state = state
        system = state.system if state.finished is not None else None
        as_of = f"at {clock(system.time)}" if system else ""
        if as_of != self._as_of:  # set, it draws the border anew
            self._as_of = as_of
            self.border_subtitle = Content(as_of)
        if self.display:
            self.redraw()

    def height_at(self, width: int) -> int:
        """Rows that the panel takes with its border, at this width of its text."""
        return len(self.lines(width)) + 2

    def lines(self, width: int) -> list[Content]:
        system = self._state.system
        if system is None:
            return [Content.styled("no reading yet", DIM)]
        used = gpu_of(self._state.started.device, system.gpus) if self._state.started else None
        gpus = sorted(system.gpus, key=lambda gpu: (not gpu.ours, gpu.index))  # those of others last
        lines = [
            gpu_line(gpu, self._history(gpu.index), width, used=used is not None and gpu.index == used.index)
            for gpu in gpus[:MOST_GPUS]
        ]
        if len(gpus) > MOST_GPUS:
            lines.append(Content.styled(f" and {plural(len(gpus) - MOST_GPUS, 'other GPU')}", DIM))
        return [*lines, *_wrapped(self._rest(system), width)]

    def _history(self, index: int) -> list[float]:
        newest = list(self._state.systems)[-MOST_SPARKS:]
        return [next((gpu.utilisation for gpu in each.gpus if gpu.index == index), math.nan) for each in newest]

    def _rest(self, system: System) -> list[Content]:
        items: list[tuple[str, str, str]] = []  # label, value, colour
        if not math.isnan(system.cpu):
            cores = f" of {system.cpus:.3g}" if not math.isnan(system.cpus) else ""
            items.append(("CPU", f"{share_words(system.cpu)}{cores}", ""))
        if not math.isnan(system.ram):
            total = f"/{gib(system.ram_total, 0)}" if math.isfinite(system.ram_total) else ""
            items.append(("RAM", f"{gib(system.ram)}{total} GiB", ""))
        if not math.isnan(system.disk_free):
            items.append(("disk", f"{size_words(system.disk_free)} free", ""))
        if not math.isnan(system.data_wait):
            items.append(
                ("data wait", share_words(system.data_wait), "bold $warning" if system.data_wait >= 0.5 else "")
            )
        return [Content.assemble((f"{label} ", "$foreground 65%"), (text, colour)) for label, text, colour in items]


def _wrapped(items: Sequence[Content], width: int) -> list[Content]:
    """Items side by side, on as many lines as they need."""
    lines: list[Content] = []
    for item in items:
        if lines and lines[-1].cell_length + 3 + item.cell_length <= width:
            lines[-1] = Content.assemble(lines[-1], "   ", item)
        else:
            lines.append(item)
    return lines
