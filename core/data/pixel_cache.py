"""Resized images on the disk, shared by the runs of a user: what one has decoded, the next need not.

An entry belongs to one list of files at one size: `<key>.u8`, the pixels, image after image, and `<key>.index`, for
each image the stamp of the file that it was made of and a checksum of its pixels. An image counts only if both are
right, so that a killed process, a power cut or a changed file costs a decoding, never a wrong image. Writers need no
lock: two runs that decode the same image write the same bytes. `<key>.about` says for a person what they are.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import shutil
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from core.atomic import atomic_write_bytes
from core.file_locks import folder_lock, is_locked

Pixels = NDArray[np.uint8]

_VERSION = 1  # of the files, and of how images are decoded
_RECORD = np.dtype([("stamp", "<u8"), ("checksum", "<u4")])
_LEFT_FREE = 0.1  # share of the disk that the cache leaves to checkpoints and others


def cache_folder() -> Path:
    """Where the entries are."""
    return user_cache_path("reid-tui") / "images"


@dataclass(frozen=True)
class Entry:
    """An entry as `reid-tui cache` shows it: bytes on the disk, and when it was last used (seconds since the epoch).

    `full`: bytes that it will have come to when all of its images are there.
    """

    key: str
    size: int
    full: int
    used: float
    in_use: bool
    about: str  # how many images of which folder, at which size


class PixelCache:
    """The images of one list of files at one size.

    Use `PixelCache.open`; threads may call `load` and `put` at the same time, for different images.
    """

    def __init__(self, data: int, index: int, paths: Sequence[Path], size: tuple[int, int]) -> None:
        self._data, self._index = data, index
        self._paths = paths
        self._bytes = size[0] * size[1] * 3
        self._stamps = np.zeros(len(paths), np.uint64)  # of the files as they were before they were decoded
        # Read through the map, written through the descriptor: a write to a map of a full disk would kill the process.
        self._map = mmap.mmap(data, len(paths) * self._bytes, prot=mmap.PROT_READ)
        self._pixels = np.frombuffer(self._map, np.uint8).reshape(len(paths), *size, 3)

    @classmethod
    def open(cls, paths: Sequence[Path], size: tuple[int, int], kind: str, limit: int) -> PixelCache | None:
        """The entry of a list of files, made where there is none; None where it would not fit.

        Args:
            paths: N files, in the order in which they are counted here.
            size: (height, width) in pixels.
            kind: how they are decoded; other kinds have entries of their own.
            limit: bytes that all entries may take together. Those that were not used for longest make room.

        Raises:
            OSError: the folder of the cache cannot be written.
        """
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        named_paths = [os.fspath(path.absolute()) for path in paths]
        named = "\n".join([f"{_VERSION} {kind} {size[0]}x{size[1]}", *named_paths])
        key = hashlib.sha256(named.encode(errors="surrogateescape")).hexdigest()[:24]
        needed = len(paths) * (size[0] * size[1] * 3 + _RECORD.itemsize)
        with folder_lock(folder):
            if not needed or not _make_room(folder, key, needed, limit):
                return None
            index = os.open(folder / f"{key}.index", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(index, fcntl.LOCK_SH)  # for as long as it is in use
                data = os.open(folder / f"{key}.u8", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    os.ftruncate(index, len(paths) * _RECORD.itemsize)
                    os.ftruncate(data, len(paths) * size[0] * size[1] * 3)
                    os.utime(index)
                    if not (about := folder / f"{key}.about").exists():
                        text = f"{len(paths)} images of {os.path.commonpath(named_paths)} at {size[0]}x{size[1]}"
                        atomic_write_bytes(about, text.encode(errors="surrogateescape"))
                    return cls(data, index, paths, size)
                except BaseException:
                    os.close(data)
                    raise
            except BaseException:
                os.close(index)
                raise

    def load(self, image: int) -> bool:
        """Whether the image is here, whole, and made of the file as it is now.

        Raises:
            OSError: the file is gone.
        """
        stamp, checksum = np.frombuffer(os.pread(self._index, _RECORD.itemsize, image * _RECORD.itemsize), _RECORD)[0]
        self._stamps[image] = _stamp(self._paths[image])
        return bool(stamp == self._stamps[image]) and checksum == zlib.crc32(self._pixels[image].data)

    def put(self, image: int, pixels: Pixels) -> None:
        """Keep an image: (height, width, 3) uint8, decoded after it was looked for with `load`.

        A file that is replaced while it is decoded has the stamp of the old one here, and is decoded again by the next
        run, whichever of the two was read.

        Raises:
            OSError: the disk is full.
        """
        pixels = np.ascontiguousarray(pixels)
        _write(self._data, pixels.tobytes(), image * self._bytes)
        record = np.array([(self._stamps[image], zlib.crc32(pixels.data))], _RECORD)
        _write(self._index, record.tobytes(), image * _RECORD.itemsize)

    def take(self, images: NDArray[np.int64], out: Pixels) -> None:
        """Copy images that were loaded or put to `out`, (B, height, width, 3)."""
        if hasattr(os, "posix_fadvise"):  # all are asked for before the first is waited for
            for image in images.tolist():
                os.posix_fadvise(self._data, image * self._bytes, self._bytes, os.POSIX_FADV_WILLNEED)
        take_into(out, self._pixels, images)

    def close(self) -> None:
        """Let go of the entry; it may be removed from now on."""
        del self._pixels
        self._map.close()
        os.close(self._data)
        os.close(self._index)


def take_into(out: Pixels, pixels: Pixels, images: NDArray[np.int64]) -> None:
    """Copy the rows `images` of (N, …) to `out`, (B, …)."""
    np.take(pixels, images, axis=0, out=out, mode="clip")  # in the mode "raise", numpy would copy twice


def entries() -> list[Entry]:
    """All entries, the last used first."""
    found = []
    for path in cache_folder().glob("*.index"):
        with suppress(OSError):
            size, full = _sizes(path)
            used, in_use = path.stat().st_mtime, is_locked(path, shared=True)
            found.append(Entry(path.stem, size, full, used, in_use, _about(path)))
    return sorted(found, key=lambda entry: -entry.used)


def clear() -> int:
    """Remove all entries that no run uses; the bytes that they took.

    Raises:
        OSError: one cannot be removed.
    """
    folder = cache_folder()
    if not folder.is_dir():
        return 0
    with folder_lock(folder):
        return sum(_remove(folder, entry) for entry in entries() if not entry.in_use)


def _stamp(path: Path) -> int:
    """A number for the content of a file: its size and the time of its last change; never 0."""
    status = path.stat()
    digest = hashlib.blake2b(f"{status.st_size} {status.st_mtime_ns}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def _write(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _make_room(folder: Path, key: str, needed: int, limit: int) -> bool:
    """Whether an entry may take so many bytes; others are removed for it, if that is enough.

    Those that are in use count as they will be when they are full.
    """
    taken = {entry.key: entry for entry in entries()}
    others = [entry for entry in taken.values() if entry.key != key]
    have = taken[key].size if key in taken else 0
    usage = shutil.disk_usage(folder)
    removable = [entry for entry in others if not entry.in_use]
    coming = sum(max(entry.full - entry.size, 0) for entry in others if entry.in_use)
    excess = max(
        sum(entry.size for entry in others) + coming + needed - limit,
        needed - have + coming + int(_LEFT_FREE * usage.total) - usage.free,
    )
    if excess > sum(entry.size for entry in removable):
        return False
    while excess > 0:
        excess -= _remove(folder, removable.pop())
    return True


def _about(index: Path) -> str:
    try:
        return index.with_suffix(".about").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # an entry of an older version
        return ""


def _remove(folder: Path, entry: Entry) -> int:
    for suffix in (".u8", ".index", ".about"):
        (folder / f"{entry.key}{suffix}").unlink(missing_ok=True)
    return entry.size


def _sizes(index: Path) -> tuple[int, int]:
    """Bytes on the disk, of which an entry that is half filled takes half, and those when it is full."""
    blocks = full = 0
    for path in (index, index.with_suffix(".u8")):
        with suppress(FileNotFoundError):
            status = path.stat()
            blocks, full = blocks + status.st_blocks, full + status.st_size
    return 512 * blocks, full
