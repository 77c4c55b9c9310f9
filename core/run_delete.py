"""Deleting a run folder: only a real one, never a live one, and nothing outside of it. torch is not needed for it."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from pathlib import Path

from core.errors import ReidError
from core.run_lock import LOCK, held

REFUSED = "The run cannot be deleted"


def delete_run(folder: Path) -> None:
    """Delete a run folder and all that is in it. What links in it lead to stays.

    The lock of the run is held from before the check to the end, so that nobody resumes it meanwhile. The folder is
    renamed first: there is no moment in which it is listed, and only in part there.

    Raises:
        ReidError: it is live, or no run folder; or something of it could not be removed. The message says what is left.
    """
    if why := why_not(folder):
        raise ReidError(REFUSED, f"{folder}: {why}")
    try:
        with held(folder):
            _remove(folder)
    except OSError as error:  # the lock, or the folder, is somebody else's
        raise ReidError(REFUSED, f"{folder}: {error.strerror or error}; nothing of it is deleted") from error


def why_not(folder: Path) -> str:
    """Why a folder is not one that is deleted here; empty where nothing but its being live can be in the way."""
    try:
        if not folder.is_absolute():
            return "not an absolute path"
        if not _is(stat.S_ISDIR, folder):
            return "not a folder, or a link to one"
        if not _is(stat.S_ISREG, folder / "profile.toml"):
            return "not a run folder: it has no profile.toml"
        if not (_is(stat.S_ISREG, folder / LOCK) or _is(stat.S_ISREG, folder / "events.jsonl")):
            return "not a run folder: it has neither a lock nor events"
        if os.path.lexists(folder / LOCK) and not _is(stat.S_ISREG, folder / LOCK):
            return "its lock is not a plain file"
        if folder.resolve() in (place for here in (Path.cwd(), Path.home()) for place in (here, *here.parents)):
            return "the present folder, or the home folder, is in it"
        if next(folder.glob("*/profile.toml"), None) is not None:
            return "it holds other runs, or profiles"
    except OSError as error:
        return str(error.strerror or error)
    return ""


def _is(kind: object, path: Path) -> bool:
    """Whether the path itself, not what it links to, is of a kind."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    assert callable(kind)
    return bool(kind(mode))


def _remove(folder: Path) -> None:
    before = folder.lstat()
    aside = folder.with_name(f".deleted-{secrets.token_hex(4)}")
    folder.rename(aside)
    after = aside.lstat()
    if (before.st_dev, before.st_ino) != (after.st_dev, after.st_ino):
        aside.rename(folder)
        raise ReidError(REFUSED, f"{folder}: it became another folder meanwhile; nothing of it is deleted")
    try:
        # What makes it a run goes first: whatever is left is listed as none.
        (aside / "profile.toml").unlink()
        shutil.rmtree(aside)
    except OSError as error:
        what = f"{error.filename or aside}: {error.strerror or error}"
        raise ReidError("The run is deleted only in part", f"{what}; what is left of it is in {aside}") from error
