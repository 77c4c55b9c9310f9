"""Text for a screen of fixed cells: numbers aligned and short."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

from core.printable import clean


def percent(share: float) -> str:
    """0.7143 -> "71.4"; an unknown one is a dash."""
    return "–" if math.isnan(share) else f"{100 * share:.1f}"


def number(value: float, digits: int = 3) -> str:
    """A number in about `digits` + 2 cells: 2.31, 0.0142, 1.0e-05, 1.2e+06."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else str(value)
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if not -3 <= exponent < 5:
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e+").replace(".0e", "e")
    return f"{value:.{max(digits - 1 - exponent, 0) if exponent >= 0 else digits}f}"


def duration(seconds: float) -> str:
    """75 -> "1:15", 3675 -> "1:01:15"; an unknown one is a dash."""
    if not math.isfinite(seconds):
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def resume_command(folder: str) -> str:
    """What goes on with a run, by the time in its name: that is in one piece whatever the width of the screen."""
    return f"reid-tui resume {Path(folder).name.rpartition('_')[2]}"


def ago(seconds: float) -> str:
    """40 -> "now", 150 -> "2 min", 7300 -> "2 h", 200000 -> "2 d"; an unknown one is a dash."""
    if not math.isfinite(seconds):
        return "–"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return "now"


def speed(images_per_second: float) -> str:
    """ "1234 img/s"; an unknown one is empty."""
    if not images_per_second > 0 or math.isinf(images_per_second):
        return ""
    return f"{images_per_second:.{0 if images_per_second >= 10 else 1}f} img/s"


def clock(time: float) -> str:
    """Time of day of an event, local: "13:07:42"."""
    return datetime.fromtimestamp(time).strftime("%H:%M:%S")


def plural(count: int, noun: str, several: str = "") -> str:
    """ "1 epoch", "2 epochs"; "2 identities" with a plural of its own."""
    return f"{count} {noun if count == 1 else several or noun + 's'}"


def short_path(path: str | Path, width: int = 0) -> str:
    """A path as a person writes it, `~` for home; cut in the middle if it is wider than `width` (0: never)."""
    text = clean(str(path))
    home = str(Path.home())
    if text == home or text.startswith(home + "/"):
        text = "~" + text[len(home) :]
    if width and len(text) > width >= 5:
        head = (width - 1) // 3
        text = f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"
    return text


def bytes_text(count: float) -> str:
    """176127238 -> "176 MB", in at most six cells; an unknown one is a dash."""
    if not math.isfinite(count) or count < 0:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if count >= 9.95 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.0f} TB" if count >= 9.95 else f"{count:.1f} TB"
