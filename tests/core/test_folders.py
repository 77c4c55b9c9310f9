"""The folder layout: what is found, how it is numbered, what is held out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from core.data.folders import (
    Images,
    hold_out,
    identity_ids,
    new_folder,
    number,
    query_gallery_cameras,
    query_gallery_ids,
    read_folder,
)
from core.errors import DataError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def some(counts: dict[str, int], cameras: int = 0) -> Images:
    """Images of identities; with cameras, seen by each in turn."""
    named = [(name, place) for name, count in counts.items() for place in range(count)]
    return Images(
        tuple(Path(f"/data/train/{name}/{place:02}.jpg") for name, place in named),
        tuple(name for name, _ in named),
        tuple(f"c{place % cameras}" for _, place in named) if cameras else None,
    )


class TestReading:
    def test_one_subfolder_per_identity_sorted(self, tmp_path):
        touch(tmp_path, "b/2.jpg", "b/10.PNG", "a/x.webp", "0007/q.tiff")
        images = read_folder(tmp_path)
        assert images.identities == ("0007", "a", "b", "b")
        assert [path.name for path in images.paths] == ["q.tiff", "x.webp", "10.PNG", "2.jpg"]
        assert images.cameras is None
        assert images.identity_names == ("0007", "a", "b")
        assert len(images) == 4

    def test_nested_folders_belong_to_the_identity(self, tmp_path):
        touch(tmp_path, "a/day2/1.jpg", "a/day1/left/1.jpg", "a/1.jpg")
        images = read_folder(tmp_path)
        assert images.identities == ("a",) * 3
        names = [path.relative_to(tmp_path).as_posix() for path in images.paths]
        assert names == ["a/1.jpg", "a/day1/left/1.jpg", "a/day2/1.jpg"]

    def test_hidden_files_and_other_files_are_passed_over(self, tmp_path):
        touch(tmp_path, "a/1.jpg", "a/.2.jpg", "a/._1.jpg", "a/Thumbs.db", "a/notes.txt", "a/f.h5", "a/paper.pdf")
        touch(tmp_path, ".cache/1.jpg", "loose.jpg", "README")
        (tmp_path / "empty").mkdir()
        assert [path.name for path in read_folder(tmp_path).paths] == ["1.jpg"]

    def test_links_are_followed_and_loops_end(self, tmp_path):
        touch(tmp_path, "elsewhere/1.jpg", "train/b/2.jpg")
        (tmp_path / "train" / "a").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "train" / "b" / "up").symlink_to(tmp_path / "train" / "b")
        assert read_folder(tmp_path / "train").identities == ("a", "b")

    def test_link_to_an_image_that_is_gone_is_not_passed_over(self, tmp_path):
        touch(tmp_path, "a/1.jpg")
        (tmp_path / "a" / "2.jpg").symlink_to("gone.jpg")
        assert len(read_folder(tmp_path)) == 2

    def test_cameras_come_from_file_names(self, tmp_path):
        touch(tmp_path, "0002/0002_c1s1_000451_03.jpg", "0002/0002_c6s2_000001_01.jpg")
        assert read_folder(tmp_path, r"_c(\d+)").cameras == ("1", "6")

    def test_camera_pattern_does_not_look_at_folders(self, tmp_path):
        touch(tmp_path / "set_c9", "a/1.jpg")
        with pytest.raises(DataError, match=r"1\.jpg.*camera_pattern"):
            read_folder(tmp_path / "set_c9", r"_c(\d+)")

    def test_name_in_which_the_pattern_finds_nothing_is_an_error(self, tmp_path):
        touch(tmp_path, "a/a_c1.jpg", "a/b.jpg")
        with pytest.raises(DataError, match=r"b\.jpg"):
            read_folder(tmp_path, r"_c(\d+)")

    @pytest.mark.parametrize(
        ("names", "words"), [([], "holds no image"), (["a/notes.txt"], "no image"), (["1.jpg"], "directly")]
    )
    def test_nothing_to_read(self, tmp_path, names, words):
        touch(tmp_path, *names)
        with pytest.raises(DataError) as caught:
            read_folder(tmp_path)
        assert str(tmp_path) in caught.value.message
        assert words in caught.value.message
        assert "one subfolder per identity" in caught.value.message

    def test_missing_folder_and_file_in_its_place(self, tmp_path):
        touch(tmp_path, "file")
        for name in ("gone", "file"):
            with pytest.raises(DataError, match=name):
                read_folder(tmp_path / name)

    def test_folder_without_permission(self, tmp_path):
        touch(tmp_path, "a/1.jpg", "b/1.jpg")
        (tmp_path / "b").chmod(0)
        try:
            if os.access(tmp_path / "b", os.R_OK):
                pytest.skip("this user may read everything")
            with pytest.raises(DataError, match="b"):
                read_folder(tmp_path)
        finally:
            (tmp_path / "b").chmod(0o700)

    def test_lengths_must_agree(self):
        with pytest.raises(ValueError, match="length"):
            Images((Path("a"),), ())


class TestNumbering:
    def test_sorted_names_from_zero(self):
        assert number(["b", "a", "b", "10", "9"]) == {"10": 0, "9": 1, "a": 2, "b": 3}

    def test_training_identities(self):
        assert identity_ids(some({"b": 1, "a": 2})).tolist() == [1, 0, 0]

    def test_query_and_gallery_share_one_numbering(self):
        query, gallery = query_gallery_ids(some({"b": 1, "c": 1}), some({"a": 1, "c": 2, "d": 1}))
        assert query.dtype == gallery.dtype == np.int64
        assert query.tolist() == [1, 2]
        assert gallery.tolist() == [0, 2, 2, 3]

    def test_cameras_share_one_numbering(self):
        query = Images((Path("1"),), ("a",), ("c2",))
        gallery = Images((Path("2"), Path("3")), ("a", "b"), ("c1", "c2"))
        numbers = query_gallery_cameras(query, gallery)
        assert numbers[0] is not None
        assert numbers[0].tolist() == [1]
        assert numbers[1].tolist() == [0, 1]

    def test_cameras_unknown_on_one_side(self):
        assert query_gallery_cameras(some({"a": 2}, cameras=2), some({"a": 1})) == (None, None)


class TestHoldingOut:
    everyone = some({f"{person:02}": 1 + person % 4 for person in range(40)})

    def test_no_image_is_lost_or_shared(self):
        kept, query, gallery = hold_out(self.everyone, 0.2, 0)
        assert sorted((*kept.paths, *query.paths, *gallery.paths)) == sorted(self.everyone.paths)
        assert not set(kept.identities) & {*query.identities, *gallery.identities}

    def test_one_gallery_image_each_and_the_others_are_queries(self):
        _, query, gallery = hold_out(self.everyone, 0.2, 0)
        assert len(gallery) == len(set(gallery.identities)) == 8
        assert set(query.identities) == set(gallery.identities)

    def test_identities_of_one_image_stay_in_training(self):
        kept, _, _ = hold_out(self.everyone, 0.7, 3)
        assert {f"{person:02}" for person in range(0, 40, 4)} <= set(kept.identities)

    def test_same_seed_same_draw_in_whatever_order_the_images_come(self):
        backwards = self.everyone.take(reversed(range(len(self.everyone))))
        first, second = hold_out(self.everyone, 0.2, 5), hold_out(backwards, 0.2, 5)
        assert [set(part.paths) for part in first] == [set(part.paths) for part in second]
        assert first[1:] == second[1:]
        assert set(hold_out(self.everyone, 0.2, 6)[2].paths) != set(first[2].paths)

    def test_drawn_image_is_not_always_the_first(self):
        _, _, gallery = hold_out(some({f"{person:02}": 5 for person in range(40)}), 0.5, 0)
        assert len({path.name for path in gallery.paths}) > 2

    def test_with_cameras_one_query_per_identity_and_camera(self):
        _, query, gallery = hold_out(some({f"{person:02}": 7 for person in range(10)}, cameras=3), 0.3, 0)
        assert len(gallery) == 3 * 7
        assert sorted(zip(query.identities, query.cameras or (), strict=True)) == sorted(
            {(name, camera) for name, camera in zip(gallery.identities, gallery.cameras or (), strict=True)}
        )
        assert set(query.paths) < set(gallery.paths)

    def test_with_cameras_an_identity_seen_by_one_only_stays_in_training(self):
        once = some({f"{person:02}": 5 for person in range(6)}, cameras=1)
        twice = some({f"{person:02}": 5 for person in range(90, 93)}, cameras=2)
        both = Images(
            once.paths + twice.paths,
            once.identities + twice.identities,
            (once.cameras or ()) + (twice.cameras or ()),
        )
        kept, _, gallery = hold_out(both, 0.9, 0)
        assert set(gallery.identities) == {"90", "91", "92"}
        assert set(kept.identities) == set(once.identities)

    def test_a_small_share_still_takes_two(self):
        assert len(hold_out(some(dict.fromkeys("abcd", 2)), 0.01, 0)[2]) == 2

    @pytest.mark.parametrize(
        ("counts", "share"),
        [
            ({"a": 2, "b": 2, "c": 2}, 0.3),
            ({"a": 5, "b": 1, "c": 1, "d": 1}, 0.5),
            (dict.fromkeys("abcdef", 2), 0.9),
        ],
    )
    def test_too_few_to_hold_out_or_to_leave(self, counts, share):
        with pytest.raises(DataError, match=r"/data/train.*held_out_share"):
            hold_out(some(counts), share, 0)


class TestNewFolder:
    def test_appears_when_it_is_full(self, tmp_path):
        with new_folder(tmp_path / "deep" / "out") as filling:
            (filling / "a").touch()
            assert not (tmp_path / "deep" / "out").exists()
        assert [path.name for path in (tmp_path / "deep" / "out").iterdir()] == ["a"]
        assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]

    @pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
    def test_vanishes_when_it_fails(self, tmp_path, fault):
        with pytest.raises(fault), new_folder(tmp_path / "out") as filling:
            (filling / "a").touch()
            raise fault
        assert not list(tmp_path.iterdir())

    def test_empty_folder_may_be_there(self, tmp_path):
        (tmp_path / "out").mkdir()
        with new_folder(tmp_path / "out") as filling:
            (filling / "a").touch()
        assert (tmp_path / "out" / "a").exists()

    def test_what_is_there_is_never_touched(self, tmp_path):
        touch(tmp_path, "full/mine.txt", "file")
        for name in ("full", "file"):
            with pytest.raises(DataError, match=name), new_folder(tmp_path / name):
                pytest.fail("must not begin")
        assert (tmp_path / "full" / "mine.txt").exists()

    def test_taken_meanwhile(self, tmp_path):
        with pytest.raises(DataError, match="out"), new_folder(tmp_path / "out") as filling:
            (filling / "a").touch()
            touch(tmp_path, "out/theirs")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["theirs"]

    def test_working_folder_is_refused(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(DataError, match="folder you are in"), new_folder(Path()):
            pytest.fail("must not begin")

    def test_permissions_are_those_of_any_new_folder(self, tmp_path):
        (tmp_path / "plain").mkdir()
        with new_folder(tmp_path / "out"):
            pass
        assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode
