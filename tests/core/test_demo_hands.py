"""The synthetic hands: the same from the same seed, and not told apart by colour."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from core.data import demo_hands
from core.data.demo_hands import demo_root, draw_demo_hands, draw_hand, ensure_demo_hands, make_hand
from core.data.folders import query_gallery_ids, read_folder
from core.data.images import read_image
from core.errors import DataError

SMALL = {"identities": 3, "images": 2, "test_identities": 2, "test_images": 3, "side": 48}


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.jpg")}


@pytest.fixture(scope="module")
def whole_set(tmp_path_factory):
    """The set as it is by default."""
    root = tmp_path_factory.mktemp("demo") / "hands"
    draw_demo_hands(root)
    return root


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of this test's own, and a set that is drawn quickly."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(demo_hands, "user_cache_path", lambda name: tmp_path / "cache" / name)
    draw = demo_hands.draw_demo_hands
    monkeypatch.setattr(demo_hands, "draw_demo_hands", lambda out: draw(out, **SMALL))
    monkeypatch.setattr(demo_hands, "TRAIN_IDENTITIES", SMALL["identities"])
    monkeypatch.setattr(demo_hands, "TRAIN_IMAGES", SMALL["images"])
    monkeypatch.setattr(demo_hands, "TEST_IDENTITIES", SMALL["test_identities"])
    monkeypatch.setattr(demo_hands, "TEST_IMAGES", SMALL["test_images"])
    return tmp_path / "cache"


def test_layout(tmp_path):
    draw_demo_hands(tmp_path / "out", **SMALL)
    train, query, gallery = (read_folder(tmp_path / "out" / name) for name in ("train", "query0", "gallery0"))
    assert (len(train), len(query), len(gallery)) == (6, 4, 2)
    assert set(query.identities) == set(gallery.identities)
    assert not set(train.identities) & set(query.identities)
    assert read_image(train.paths[0], (48, 48)).shape == (48, 48, 3)


def test_same_seed_same_bytes_another_seed_other_hands(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        draw_demo_hands(tmp_path / name, seed, **SMALL)
    first, second, third = (contents(tmp_path / name) for name in "abc")
    assert first == second
    assert first.keys() == third.keys()
    assert all(first[name] != third[name] for name in first)
    assert len(set(first.values())) == len(first)


def test_more_images_leave_the_first_ones_as_they_were(tmp_path):
    draw_demo_hands(tmp_path / "few", **SMALL)
    draw_demo_hands(tmp_path / "many", **{**SMALL, "images": 4})
    few, many = contents(tmp_path / "few"), contents(tmp_path / "many")
    assert all(many[name] == few[name] for name in few)


def test_an_identity_is_its_build_not_its_picture():
    """Under one and the same camera, two hands differ, and one does not."""
    one, other = make_hand(np.random.default_rng(1)), make_hand(np.random.default_rng(2))
    pictures = [draw_hand(hand, np.random.default_rng(9), 64).astype(int) for hand in (one, one, other)]
    assert (pictures[0] == pictures[1]).all()
    assert np.abs(pictures[0] - pictures[2]).mean() > 5


def rank_1(query: np.ndarray, gallery: np.ndarray, query_ids: np.ndarray, gallery_ids: np.ndarray) -> float:
    distances = ((query[:, None] - gallery[None]) ** 2).sum(-1)
    return float((gallery_ids[distances.argmin(1)] == query_ids).mean())


def test_colour_alone_does_not_solve_it(whole_set):
    """Nearest neighbour by mean colour, of the whole image and of the middle, which is all skin."""
    query, gallery = read_folder(whole_set / "query0"), read_folder(whole_set / "gallery0")
    ids = query_gallery_ids(query, gallery)
    pixels = [np.stack([read_image(path, (96, 96)) for path in part.paths]).astype(float) for part in (query, gallery)]
    chance = 1 / len(gallery)
    for colours in ([part.mean((1, 2)) for part in pixels], [part[:, 55:75, 40:60].mean((1, 2)) for part in pixels]):
        assert chance < rank_1(*colours, *ids) < 0.5
    # Nor do the images line up pixel by pixel.
    assert rank_1(*(part[:, ::4, ::4].reshape(len(part), -1) for part in pixels), *ids) < 0.6


@pytest.mark.parametrize(
    "numbers", [{"identities": 1}, {"images": 0}, {"test_identities": 1}, {"test_images": 1}, {"side": 8}]
)
def test_too_few(tmp_path, numbers):
    with pytest.raises(DataError, match="least"):
        draw_demo_hands(tmp_path / "out", **{**SMALL, **numbers})
    assert not (tmp_path / "out").exists()


def test_interrupted_drawing_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_hands, "draw_hand", interrupted)
    with pytest.raises(KeyboardInterrupt):
        draw_demo_hands(tmp_path / "out", **SMALL)
    assert not list(tmp_path.iterdir())


class TestCache:
    def test_drawn_on_first_use_only(self, cache):
        root = ensure_demo_hands()
        assert root == demo_root()
        assert root.is_relative_to(cache)
        before = {path: path.stat().st_mtime_ns for path in root.rglob("*.jpg")}
        assert len(before) == 12
        assert ensure_demo_hands() == root
        assert {path: path.stat().st_mtime_ns for path in root.rglob("*.jpg")} == before

    def test_two_programs_at_once(self, cache):
        fork = multiprocessing.get_context("fork")
        programs = [fork.Process(target=ensure_demo_hands) for _ in range(2)]
        for program in programs:
            program.start()
        for program in programs:
            program.join()
        assert [program.exitcode for program in programs] == [0, 0]
        assert [path.name for path in demo_root().parent.iterdir()] == [demo_root().name]

    def test_another_program_was_quicker(self, cache, monkeypatch):
        draw = demo_hands.draw_demo_hands

        def draw_second(out):
            draw(out)
            draw(out)

        monkeypatch.setattr(demo_hands, "draw_demo_hands", draw_second)
        assert ensure_demo_hands() == demo_root()

    def test_lost_images_are_noticed(self, cache):
        root = ensure_demo_hands()
        next((root / "train").rglob("*.jpg")).unlink()
        with pytest.raises(DataError, match="remove the folder"):
            ensure_demo_hands()

    def test_cache_that_cannot_be_written(self, cache):
        cache.write_text("a file where a folder should be")
        with pytest.raises(DataError, match="cache"):
            ensure_demo_hands()
