"""Names and places of profile files that are written here."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from platformdirs import user_config_path

from core.atomic import atomic_write

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


def writable_folders() -> tuple[Path, Path]:
    """Where profiles are saved: the working folder's, and the user's."""
    return Path("profiles"), user_config_path("reid-tui") / "profiles"


def name_problem(name: str) -> str:
    """Why a profile cannot have this name; empty: it can."""
    if not name:
        return "a profile needs a name"
    if name.endswith(".toml"):
        return "without .toml: that is added"
    if len(name) > 64:
        return "must have 64 characters at most"
    if not _NAME.fullmatch(name):
        return "must start with a letter or digit and hold letters (A-Z, a-z), digits and . _ + - only"
    return ""


def free_name(name: str, folder: Path) -> str:
    """A name like this one that no file of the folder has: itself, or with -2, -3 … behind it."""
    base = re.sub(r"[^A-Za-z0-9._+-]+", "-", name).strip(".-_+")[:58] or "profile"
    number, found = 1, base
    while (folder / f"{found}.toml").exists():
        number += 1
        found = f"{base}-{number}"
    return found


def save_new_profile(path: Path, text: str, *, replace: bool) -> None:
    """Write a profile file, whole or not at all; the folder is made where it is not there.

    Raises:
        FileExistsError: it is there, and is not to be replaced.
        OSError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, "is a file, not a folder", error.filename) from error
    if not replace and os.path.lexists(path):
        raise FileExistsError(path)
    atomic_write(path, lambda file: file.write(text.encode()))
