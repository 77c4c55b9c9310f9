"""What the app remembers from one time to the next: small, and never needed. A damaged file is as none."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from platformdirs import user_state_path

from core.atomic import atomic_write_bytes


@dataclass(frozen=True)
class Remembered:
    theme: str = ""  # chosen by key; "": none was
    log: bool | None = None  # whether it was shown; None: as the height has it
    log_scale: bool = False
    profile: str = ""  # path of the last one that was launched


_KINDS: dict[str, tuple[type, ...]] = {
    "theme": (str,),
    "log": (bool, type(None)),
    "log_scale": (bool,),
    "profile": (str,),
}


def remembered_path() -> Path:
    return user_state_path("reid-tui") / "remembered.json"


class Memory:
    """The file of what is remembered.

    Args:
        path: of the file; None: nothing is read and nothing is written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.now = _read(path) if path is not None else Remembered()

    def note(self, **changes: Any) -> bool:
        """Take changes of the fields; True if that is something new to write."""
        before, self.now = self.now, replace(self.now, **changes)
        return self.now != before and self._path is not None

    def write(self) -> None:
        """Write the file, as it is now.

        Raises:
            OSError: it cannot be written.
        """
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write_bytes(self._path, json.dumps(asdict(self.now)).encode())


def _read(path: Path) -> Remembered:
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError):  # not there yet, or damaged; there is nothing in it that would be missed
        return Remembered()
    if not isinstance(values, dict):
        return Remembered()
    known = [each.name for each in fields(Remembered)]
    return Remembered(**{name: values[name] for name in known if isinstance(values.get(name, ...), _KINDS[name])})


def remember(app: object, **changes: Any) -> None:
    """Tell an app that has a memory of something that the person has chosen."""
    note = getattr(app, "remember", None)
    if callable(note):
        note(**changes)
