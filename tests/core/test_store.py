"""Batches of decoded images: in order, decoded once, and faults named."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from core.data import store as store_module
from core.data.shelf import Shelves
from core.data.store import ImageStore
from core.errors import DataError


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
def paths(tmp_path):
    for number in range(20):
        Image.new("RGB", (8, 6), (number, 2 * number, 3 * number)).save(tmp_path / f"{number:02}.png")
    return sorted(tmp_path.iterdir())


@pytest.fixture
def reads(monkeypatch):
    """Paths in the order of reading."""
    seen = []

    def read(path, size, *, exact):
        seen.append(path)
        return real(path, size, exact=exact)

    real = store_module.read_image
    monkeypatch.setattr(store_module, "read_image", read)
    return seen


ORDER = [np.array(batch) for batch in ([3, 1, 3], [7, 3], [1], [19, 0, 2], [5], [6], [8])]


@pytest.mark.parametrize("kept", [True, False])
def test_batches_hold_the_images_of_their_indices(paths, pool, reads, kept):
    store = ImageStore(paths, (4, 5), pool, Shelves(memory=20 * 4 * 5 * 3 - (not kept)))
    for _ in range(2):
        batches = list(store.batches(ORDER))
        assert [indices.tolist() for indices, _ in batches] == [batch.tolist() for batch in ORDER]
        for indices, images in batches:
            assert images.shape == (len(indices), 4, 5, 3)
            assert images[:, 0, 0].tolist() == [[n, 2 * n, 3 * n] for n in indices.tolist()]
    assert (len(reads) == len(set(reads))) is kept


def test_what_is_kept_is_taken_ahead_by_the_pool(paths, pool, monkeypatch):
    """Reading it from the disk, or copying it, holds up nobody who trains."""
    taken = []
    real = store_module.ImageStore._take

    def take(store, indices):
        taken.append(threading.current_thread().name)
        return real(store, indices)

    monkeypatch.setattr(store_module.ImageStore, "_take", take)
    store = ImageStore(paths, (4, 5), pool, Shelves(memory=10**6))
    list(store.batches(ORDER))
    taken.clear()
    batches = store.batches(ORDER)
    next(batches)
    pool.submit(int).result()
    assert len(taken) in {3, 4}, "the one in use, and those that come next"
    batches.close()
    assert all(name.startswith("ThreadPool") for name in taken)
    assert len(taken) < len(ORDER)


def test_an_image_is_decoded_once(paths, pool, reads):
    store = ImageStore(paths, (4, 5), pool, Shelves())
    for _ in range(3):
        list(store.batches(ORDER))
    assert sorted(reads) == sorted({paths[n] for batch in ORDER for n in batch})


def test_decoding_runs_a_few_batches_ahead_and_no_further(paths, pool, reads):
    batches = ImageStore(paths, (4, 5), pool, Shelves()).batches([np.array([n]) for n in range(20)])
    next(batches)
    pool.shutdown(wait=True)
    assert len(reads) == store_module.BATCHES_AHEAD


def test_a_batch_is_memory_of_its_own(paths, pool):
    store = ImageStore(paths, (4, 5), pool, Shelves())
    [(_, first)] = store.batches([np.array([1])])
    first.zero_()
    [(_, again)] = store.batches([np.array([1])])
    assert again.any()


def test_an_image_that_cannot_be_read_is_named_when_its_batch_comes(paths, pool):
    paths[7].write_bytes(b"")
    batches = ImageStore(paths, (4, 5), pool, Shelves()).batches(ORDER)
    next(batches)
    with pytest.raises(DataError, match=r"07\.png"):
        next(batches)


@pytest.mark.parametrize("kept", [True, False])
def test_an_image_that_may_be_left_out_is_told_each_time_and_tried_again(paths, pool, kept):
    whole = {number: paths[number].read_bytes() for number in (3, 7)}
    for number in whole:
        paths[number].write_bytes(whole[number][:40])
    told = []
    shelves = Shelves(memory=20 * 4 * 5 * 3 - (not kept))
    store = ImageStore(paths, (4, 5), pool, shelves, lambda path, error: told.append((path.name, error.message)))
    batches = list(store.batches(ORDER))
    assert [indices.tolist() for indices, _ in batches] == [[1], [], [1], [19, 0, 2], [5], [6], [8]]
    for indices, images in batches:
        assert images.shape == (len(indices), 4, 5, 3)
        assert images[:, 0, 0].tolist() == [[n, 2 * n, 3 * n] for n in indices.tolist()]
    assert {name for name, _ in told} == {"03.png", "07.png"} and all(name in message for name, message in told)
    for number, content in whole.items():
        paths[number].write_bytes(content)
    told.clear()
    assert [indices.tolist() for indices, _ in store.batches(ORDER)] == [batch.tolist() for batch in ORDER]
    assert not told


def test_stores_share_one_budget_that_is_no_more_than_the_free_memory(paths, pool, reads):
    shelves = Shelves(memory=1300)
    first, second = (ImageStore(paths, (4, 5), pool, shelves) for _ in range(2))
    for store in (first, second):
        for _ in range(2):
            list(store.batches([np.array([1])]))
    assert len(reads) == 1 + 2
    assert 0 < Shelves().memory_left < 1 << 50
