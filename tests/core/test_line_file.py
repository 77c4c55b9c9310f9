"""Lines that are appended, whatever the disk does in between."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from core.line_file import LineFile
from tests.core.full_disk import Disk


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_a_line_that_went_in_in_part_is_continued(tmp_path: Path, disk: Disk) -> None:
    file = LineFile(tmp_path / "lines")
    assert file.append("one\n")
    disk.room = 2
    assert not file.append("two\n")
    assert not file.append("three\n")
    assert (tmp_path / "lines").read_text() == "one\ntw"
    assert file.error is not None and file.error.errno == errno.ENOSPC
    assert file.error.filename == str(tmp_path / "lines")
    disk.room = None
    assert file.append("four\n")
    assert (tmp_path / "lines").read_text() == "one\ntwo\nthree\nfour\n"
    assert file.error is None


@pytest.mark.parametrize("room", range(16))
def test_whatever_fits_at_a_time(tmp_path: Path, disk: Disk, room: int) -> None:
    file = LineFile(tmp_path / "lines")
    expected = "".join(f"line {number}\n" for number in range(20))
    for line in expected.splitlines(keepends=True):
        disk.room = room
        file.append(line)
        assert expected.startswith((tmp_path / "lines").read_text())
    disk.room = None
    assert file.flush()
    assert (tmp_path / "lines").read_text() == expected


def test_the_last_line_of_a_killed_process_is_ended(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("one\ntw")
    LineFile(tmp_path / "lines").append("three\n")
    assert (tmp_path / "lines").read_text() == "one\ntw\nthree\n"


def test_a_file_that_cannot_be_made_to_begin_with(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="lines"):
        LineFile(tmp_path / "none" / "lines")


def test_a_folder_that_went_and_came_back(tmp_path: Path, disk: Disk) -> None:
    (tmp_path / "there").mkdir()
    file = LineFile(tmp_path / "there" / "lines")
    file.append("one\n")
    disk.room = 1
    file.append("two\n")
    (tmp_path / "there").rename(tmp_path / "away")
    disk.room = None
    assert not file.append("three\n")
    (tmp_path / "away").rename(tmp_path / "there")
    assert file.flush()
    assert (tmp_path / "there" / "lines").read_text() == "one\ntwo\nthree\n"


def test_a_file_that_was_removed_begins_with_a_whole_line(tmp_path: Path, disk: Disk) -> None:
    file = LineFile(tmp_path / "lines")
    disk.room = 2
    file.append("one\n")
    (tmp_path / "lines").unlink()
    disk.room = None
    assert file.append("two\n")
    assert (tmp_path / "lines").read_text() == "one\ntwo\n"


def test_too_many_lines_lose_the_minor_ones_first_and_then_the_oldest(tmp_path: Path, disk: Disk) -> None:
    file = LineFile(tmp_path / "lines", keep=100)
    disk.room = 3
    file.append("begun 000\n")
    for number in range(1, 10):
        file.append(f"line  {number:03}\n", minor=number % 2 == 0)
    assert file.lost == 0
    file.append("line  010\n")  # 110 bytes: down to 75
    assert file.lost == 4
    for number in range(11, 15):
        file.append(f"line  {number:03}\n")
    assert file.lost == 8
    disk.room = None
    assert file.flush()
    kept = [0, 9, 10, 11, 12, 13, 14]
    assert [int(line[-3:]) for line in (tmp_path / "lines").read_text().splitlines()] == kept


def test_nothing_waits_in_a_buffer(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "lines")
    file.append("one\n")
    assert os.stat(tmp_path / "lines").st_size == 4  # noqa: PTH116
    file.close()
    file.append("two\n")
    assert (tmp_path / "lines").read_text() == "one\ntwo\n"
