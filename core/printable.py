"""Text that comes from others (names of files and identities, messages of libraries), made harmless for a terminal."""

from __future__ import annotations

import re
from pathlib import Path

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[\]PX^_].*?(?:\x1b\\|\x07|$)"  # OSC, DCS and other strings
    r"|\x1b[ -/]*[0-~]?"  # the rest
)
# Marks that turn the writing direction round would move the text of other columns.
_INVISIBLE = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x061C, 0x200E, 0x200F, 0xFEFF])
_PICTURES = {code: chr(0x2400 + code) for code in range(32)} | {127: "␡", 9: "    ", 0x2028: "␤", 0x2029: "␤"}
_CONTROLS = _INVISIBLE | _PICTURES | dict.fromkeys(range(0x80, 0xA0), "�") | dict.fromkeys(range(0xD800, 0xE000), "�")


def clean(text: str) -> str:
    """One line that is safe to draw: escape sequences out, control characters as visible pictures."""
    return _ESCAPES.sub("", text).translate(_CONTROLS)


def shown(name: Path | str) -> str:
    """A file name that can be printed on any terminal: control characters and undecodable bytes escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(name))
