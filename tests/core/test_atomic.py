"""Files are written whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from core.atomic import atomic_write, atomic_write_bytes


def writing(content: bytes) -> Callable[[BinaryIO], None]:
    def write(file: BinaryIO) -> None:
        file.write(content)

    return write


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    atomic_write(path, writing(b"old"))
    atomic_write(path, writing(b"new"))
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file.bin"]


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    atomic_write(tmp_path / "file.bin", writing(b"new"))
    assert (tmp_path / "file.bin").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("error", [ValueError("half-way"), KeyboardInterrupt(), OSError(28, "No space left")])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def fail(file: BinaryIO) -> None:
        file.write(b"ne")
        raise error

    with pytest.raises(type(error)) as caught:
        atomic_write(path, fail)
    assert caught.value is error
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file.bin"]


def test_a_full_disk_says_of_which_file(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"

    def fail(_: BinaryIO) -> None:
        raise OSError(28, "No space left")

    with pytest.raises(OSError, match=r"No space left.*file\.bin'"):
        atomic_write(path, fail)


def test_the_part_is_hidden_and_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    seen: list[str] = []
    atomic_write(path, lambda file: seen.extend(names(tmp_path)))
    assert len(seen) == 1 and seen[0].startswith(".file.bin.") and f".{os.getpid()}-" in seen[0]


def test_the_data_is_on_the_disk_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.bin"
    flushed: list[tuple[str, bool]] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        kind = "folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file"
        flushed.append((kind, path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    atomic_write(path, writing(b"new"))
    assert flushed == [("file", False), ("folder", True)]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic_write(tmp_path / "none" / "file.bin", writing(b"new"))


def test_what_was_there_is_kept_under_another_name_once_the_new_one_is_whole(tmp_path: Path) -> None:
    path, keep = tmp_path / "file.bin", tmp_path / "before.bin"
    atomic_write_bytes(path, b"one", keep)
    assert names(tmp_path) == ["file.bin"]
    atomic_write_bytes(path, b"two", keep)
    atomic_write_bytes(path, b"three", keep)
    assert (path.read_bytes(), keep.read_bytes()) == (b"three", b"two")

    def fail(_: BinaryIO) -> None:
        raise OSError(28, "No space left")

    with pytest.raises(OSError, match="No space left"):
        atomic_write(path, fail, keep)
    assert (path.read_bytes(), keep.read_bytes()) == (b"three", b"two")
    assert sorted(names(tmp_path)) == ["before.bin", "file.bin"]


@pytest.mark.parametrize("fails", [1, 2])
def test_a_rename_that_fails_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int) -> None:
    path, keep = tmp_path / "file.bin", tmp_path / "before.bin"
    path.write_bytes(b"old")
    replace, renames = Path.replace, 0

    def failing(source: Path, target: Path) -> Path:
        nonlocal renames
        renames += 1
        if renames == fails:
            raise OSError(5, "Input/output error")
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OSError, match="Input/output error"):
        atomic_write_bytes(path, b"new", keep)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file.bin"]


def test_a_folder_that_cannot_be_written_any_more_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(path: Path, missing_ok: bool = False) -> None:
        raise OSError(30, "Read-only file system")

    def fail(_: BinaryIO) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(OSError, match="Input/output error"):
        atomic_write(tmp_path / "file.bin", fail)


def test_writers_in_one_process_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"

    def write_within(file: BinaryIO) -> None:
        atomic_write(path, writing(b"inner"))
        file.write(b"outer")

    atomic_write(path, write_within)
    assert path.read_bytes() == b"outer"
    assert names(tmp_path) == ["file.bin"]


@pytest.mark.parametrize("module", ["core.atomic", "core.naming"])
def test_no_torch_is_imported(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
