"""The cache of resized images: what is in it is right, or it is not used."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data import pixel_cache as cache_module
from core.data import store as store_module
from core.data.pixel_cache import PixelCache, clear, entries
from core.data.shelf import Shelves
from core.data.store import ImageStore
from core.data.unreadable import stop
from reid_tui.cli import main

SIZE, GB = (4, 5), 1 << 30
BYTES = 20 * 4 * 5 * 3


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache_module, "_LEFT_FREE", 0)  # however full the disk of the tests is


@pytest.fixture
def paths(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(20):
        draw(folder / f"{number:02}.png", number)
    return sorted(folder.iterdir())


def draw(path, number):
    Image.new("RGB", (8, 6), (number, 2 * number, 3 * number)).save(path)


@pytest.fixture
def reads(monkeypatch):
    seen = []
    real = store_module.read_image

    def read(path, size, *, exact):
        seen.append(path)
        return real(path, size, exact=exact)

    monkeypatch.setattr(store_module, "read_image", read)
    return seen


def images(paths, size=SIZE, limit=GB, exact=False, memory=0):
    """What a run that reads each image twice gets: (N, height, width, 3)."""
    with ThreadPoolExecutor(2) as pool:
        store = ImageStore(paths, size, pool, Shelves(limit, memory, exact=exact))
        order = [np.arange(len(paths))[start : start + 7] for start in range(0, len(paths), 7)]
        first, second = (np.concatenate([batch.numpy() for _, batch in store.batches(order)]) for _ in range(2))
    store.close()
    assert (first == second).all()
    return first


def expected(numbers=range(20)):
    return [[n, 2 * n, 3 * n] for n in numbers]


def test_a_later_run_decodes_nothing(paths, reads):
    for _ in range(2):
        assert images(paths)[:, 0, 0].tolist() == expected()
        assert len(reads) == 20


def test_other_sizes_decoders_and_lists_have_entries_of_their_own(paths, reads):
    images(paths)
    images(paths, size=(6, 5))
    images(paths, exact=True)
    images(paths[1:])
    assert len(reads) == 79
    assert len(entries()) == 4


def test_a_changed_file_is_decoded_anew_and_no_other(paths, reads):
    images(paths)
    draw(paths[3], 77)
    os.utime(paths[3], ns=(1, 1))
    reads.clear()
    assert images(paths)[:, 0, 0].tolist() == expected([0, 1, 2, 77, *range(4, 20)])
    assert reads == [paths[3]]


def test_a_file_that_is_replaced_while_it_is_decoded_is_decoded_again_by_the_next_run(paths, monkeypatch):
    real = store_module.read_image

    def read_and_replace(path, size, *, exact):
        pixels = real(path, size, exact=exact)
        if path == paths[3]:
            draw(path, 77)
            os.utime(path, ns=(1, 1))
        return pixels

    monkeypatch.setattr(store_module, "read_image", read_and_replace)
    images(paths)
    monkeypatch.setattr(store_module, "read_image", real)
    assert images(paths)[:, 0, 0].tolist() == expected([0, 1, 2, 77, *range(4, 20)])


def test_what_is_in_use_counts_as_it_will_be_when_it_is_full(paths):
    size = (64, 64)  # 12 kB an image
    with ThreadPoolExecutor(2) as pool:
        limit = 30 * 64 * 64 * 3
        store = ImageStore(paths, size, pool, Shelves(limit, 0), stop)
        assert Shelves(limit, 0).shelf(paths[1:], size) is None  # nothing of the first is filled yet
        assert Shelves(2 * limit, 0).shelf(paths[1:], size) is not None
        store.close()
        assert Shelves(limit, 0).shelf(paths[1:], size) is not None


@pytest.mark.parametrize("suffix", [".u8", ".index"])
def test_damage_costs_a_decoding_never_a_wrong_image(paths, reads, suffix):
    images(paths)
    [entry] = cache_module.cache_folder().glob(f"*{suffix}")
    content = bytearray(entry.read_bytes())
    content[len(content) // 2] ^= 255
    entry.write_bytes(content)
    reads.clear()
    assert images(paths)[:, 0, 0].tolist() == expected()
    assert len(reads) == 1


def test_a_file_that_was_cut_short_is_filled_again(paths, reads):
    images(paths)
    [entry] = cache_module.cache_folder().glob("*.u8")
    os.truncate(entry, BYTES // 2)
    reads.clear()
    assert images(paths)[:, 0, 0].tolist() == expected()
    assert 9 <= len(reads) <= 11


def test_a_full_disk_costs_speed_alone(paths, reads, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache_module, "_write", full)
    assert images(paths)[:, 0, 0].tolist() == expected()
    assert len(reads) == 40


def test_where_the_cache_cannot_be_it_is_told_and_memory_is_used(paths, reads, tmp_path):
    (tmp_path / "cache").write_text("a file")
    told = []
    with ThreadPoolExecutor(2) as pool:
        store = ImageStore(paths, SIZE, pool, Shelves(GB, BYTES, tell=told.append))
        for _ in range(2):
            list(store.batches([np.arange(20)]))
    assert len(reads) == 20
    assert "not kept for later runs" in told[0]


def test_what_was_not_used_for_longest_makes_room(paths, monkeypatch):
    one = 8192  # blocks on the disk that an entry takes
    for number in range(4):
        images(paths[number:], limit=3 * one)
        for place, entry in enumerate(reversed(entries())):
            os.utime(cache_module.cache_folder() / f"{entry.key}.index", (place, place))
    assert 1 <= len(entries()) <= 3
    assert sum(entry.size for entry in entries()) <= 3 * one
    told = []
    assert Shelves(10, 0, tell=told.append).shelf(paths, SIZE) is None
    assert "no room" in told[0]


def test_what_a_run_uses_is_not_removed(paths):
    kept = PixelCache.open(paths, SIZE, "fast", GB)
    assert kept is not None and not kept.load(0)
    kept.put(0, np.ones((*SIZE, 3), np.uint8))
    assert [entry.in_use for entry in entries()] == [True]
    assert clear() == 0
    assert kept.load(0)
    kept.close()
    assert clear() > 0
    assert entries() == []


def test_two_processes_fill_one_entry_together(paths):
    code = (
        "import sys; from pathlib import Path; from tests.core.test_pixel_cache import cache_module, images\n"
        "cache_module._LEFT_FREE = 0\n"
        "assert images([Path(p) for p in sys.argv[1:]])[:, 0, 0].tolist() == [[n, 2 * n, 3 * n] for n in range(20)]"
    )
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", code, *map(str, paths)]
    processes = [subprocess.Popen(command, env={**os.environ, "PYTHONPATH": root}) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert len(entries()) == 1


def test_it_is_shown_and_cleared_from_the_command_line(paths, capsys):
    assert main(["cache"]) == 0
    assert "empty" in capsys.readouterr().out
    images(paths)
    assert main(["cache"]) == 0
    out = capsys.readouterr().out
    assert "1 entry" in out
    assert f"  20 images of {paths[0].parent} at {SIZE[0]}x{SIZE[1]}\n" in out
    assert main(["cache", "--clear"]) == 0
    assert "removed" in capsys.readouterr().out
    assert entries() == [] and list(cache_module.cache_folder().glob("*.about")) == []


def test_a_disk_that_is_nearly_full_is_left_alone(paths, reads, monkeypatch):
    monkeypatch.setattr(cache_module, "_LEFT_FREE", 1.0)
    told = []
    assert Shelves(GB, 0, tell=told.append).shelf(paths, SIZE) is None
    assert "no room" in told[0]
    assert entries() == []
