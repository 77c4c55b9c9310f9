"""Files that are whole or not there: written under another name, flushed to the disk, then renamed."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_counter = itertools.count()


def atomic_write(path: Path, write: Callable[[BinaryIO], object], keep: Path | None = None) -> None:
    """Write a file so that a reader, or a crash at any moment, finds the old one or the new one, never a part.

    Args:
        path: the file; its folder must be there. What it was before is replaced.
        write: is given the open file, and may seek in it.
        keep: in the same folder; what `path` was before gets this name once the new one is whole.

    Raises:
        OSError: the disk is full, the folder cannot be written to, …; `path` is then as it was.
    """
    # Same folder: a rename is atomic within one file system only. Process and count: two writers never share it.
    temporary = path.with_name(f".{path.name[:40]}.{os.getpid()}-{next(_counter)}.tmp")
    kept = None
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            kept = path.replace(keep)
        temporary.replace(path)
    except BaseException as error:  # a signal in the middle must not leave the part behind either
        with suppress(OSError):  # where the folder cannot be written any more, the error says so
            temporary.unlink(missing_ok=True)
            if kept is not None and not path.exists():
                kept.replace(path)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a write that fails does not say of what
        raise
    _flush_folder(path.parent)


def atomic_write_bytes(path: Path, data: bytes | memoryview, keep: Path | None = None) -> None:
    """`atomic_write` of what is at hand."""

    def write(file: BinaryIO) -> None:
        file.write(data)

    atomic_write(path, write, keep)


def _flush_folder(folder: Path) -> None:
    """Make the rename last through a power cut; some network file systems cannot, which is no fault of the file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
