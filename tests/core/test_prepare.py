"""Public data sets brought into the folder layout, from small made-up ones of the same form."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from PIL import Image

from core.data import prepare as prepare_module
from core.data.folders import query_gallery_cameras, read_folder
from core.data.prepare import prepare_11k_hands, prepare_market_1501
from core.errors import DataError
from reid_tui.cli import main

COLUMNS = [
    "id",
    "age",
    "gender",
    "skinColor",
    "accessories",
    "nailPolish",
    "aspectOfHand",
    "imageName",
    "irregularities",
]
THRESHOLDS = {"dorsal-right": 1050, "dorsal-left": 1037, "palmar-right": 1051, "palmar-left": 1042}


class RawHands:
    """A raw set that is written row by row."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: list[list[str]] = []
        (root / "Hands").mkdir(parents=True)

    def add(self, person: str, images: int = 1, aspect: str = "dorsal right", accessories: str = "0") -> list[str]:
        names = []
        for _ in range(images):
            name = f"Hand_{len(self.rows):07}.jpg"
            (self.root / "Hands" / name).write_bytes(name.encode())
            self.rows.append([person, "27", "male", "fair", accessories, "0", aspect, name, "0"])
            names.append(name)
        return names

    def write(self, columns: list[str] = COLUMNS) -> Path:
        with (self.root / "HandInfo.csv").open("w", newline="") as file:
            csv.writer(file).writerows([columns, *self.rows])
        return self.root


@pytest.fixture
def hands(tmp_path):
    return RawHands(tmp_path / "raw")


def held(folder: Path) -> dict[str, set[str]]:
    """Identity to the names of its images."""
    return {person.name: {image.name for image in person.iterdir()} for person in folder.iterdir()}


class Test11kHands:
    def test_protocol(self, hands, tmp_path):
        trained, tested = hands.add("0000004", 4), hands.add("0001051", 5)
        hands.add("0000004", 2, accessories="1")
        hands.add("0000004", 2, aspect="dorsal left")
        prepared = prepare_11k_hands(hands.write(), tmp_path / "out", "dorsal-right", 0)
        out = tmp_path / "out"
        assert {folder.name for folder in out.iterdir()} == {
            *("train", "val"),
            *(f"{kind}{split}" for split in range(10) for kind in ("query", "gallery")),
        }
        train, val = held(out / "train"), held(out / "val")
        assert set(train) == set(val) == {"0000004"}
        assert len(val["0000004"]) == 1
        assert train["0000004"] == set(trained) - val["0000004"]
        for split in range(10):
            query, gallery = held(out / f"query{split}"), held(out / f"gallery{split}")
            assert len(gallery["0001051"]) == 1
            assert query == {"0001051": set(tested) - gallery["0001051"]}
        assert prepared.left_out == (("with accessories", 2),)
        assert [(folder.name, folder.identities, folder.images) for folder in prepared.folders[:4]] == [
            ("train", 1, 3),
            ("val", 1, 1),
            ("query0", 1, 4),
            ("gallery0", 1, 1),
        ]

    @pytest.mark.parametrize(("aspect", "last"), THRESHOLDS.items())
    def test_last_identity_of_training(self, hands, tmp_path, aspect, last):
        hands.add(f"{last:07}", 2, aspect.replace("-", " "))
        hands.add(f"{last + 1:07}", 2, aspect.replace("-", " "))
        prepare_11k_hands(hands.write(), tmp_path / "out", aspect, 0)
        assert set(held(tmp_path / "out" / "train")) == {f"{last:07}"}
        assert set(held(tmp_path / "out" / "query0")) == {f"{last + 1:07}"}

    def test_trailing_blank_is_the_same_identity(self, hands, tmp_path):
        hands.add("0000001", 2)
        names = hands.add("1200000", 2) + hands.add("1200000 ", 1)
        prepare_11k_hands(hands.write(), tmp_path / "out", "dorsal-right", 0)
        query, gallery = held(tmp_path / "out" / "query0"), held(tmp_path / "out" / "gallery0")
        assert query["1200000"] | gallery["1200000"] == set(names)
        assert set(query) == {"1200000"}

    def test_identities_of_one_image(self, hands, tmp_path):
        hands.add("0000001", 2), hands.add("0000002", 1)
        hands.add("0002001", 2), hands.add("0002002", 1)
        prepared = prepare_11k_hands(hands.write(), tmp_path / "out", "dorsal-right", 0)
        out = tmp_path / "out"
        assert set(held(out / "train")) == {"0000001", "0000002"}
        assert set(held(out / "val")) == {"0000001"}
        assert set(held(out / "gallery3")) == {"0002001", "0002002"}
        assert set(held(out / "query3")) == {"0002001"}
        assert prepared.single == 2

    def test_same_seed_same_split_in_whatever_order_the_rows_come(self, hands, tmp_path):
        for person in (1, 2, 3, 2001, 2002, 2003):
            hands.add(f"{person:07}", 6)
        trees = []
        for name, seed, backwards in (("a", 1, False), ("b", 1, True), ("c", 2, False)):
            hands.rows.sort(reverse=backwards)
            prepare_11k_hands(hands.write(), tmp_path / name, "dorsal-right", seed)
            trees.append({folder.name: held(folder) for folder in (tmp_path / name).iterdir()})
        assert trees[0] == trees[1] != trees[2]
        assert trees[0]["gallery0"] != trees[0]["gallery1"]

    def test_missing_images_are_counted_and_named(self, hands, tmp_path):
        hands.add("0000001", 3), hands.add("0002001", 3)
        gone = hands.add("0000003", 1) + hands.add("0002002", 2)
        raw = hands.write()
        for name in gone:
            (raw / "Hands" / name).unlink()
        prepared = prepare_11k_hands(raw, tmp_path / "out", "dorsal-right", 0)
        assert sorted(prepared.missing) == gone
        assert set(held(tmp_path / "out" / "train")) == {"0000001"}

    def test_byte_order_mark_is_no_part_of_a_column(self, hands, tmp_path):
        hands.add("0000001", 2), hands.add("0002001", 2)
        table = hands.write() / "HandInfo.csv"
        table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
        assert prepare_11k_hands(hands.root, tmp_path / "out", "dorsal-right", 0).folders

    @pytest.mark.parametrize(
        "row",
        [
            ["x17", "0", "dorsal right", "a.jpg"],
            ["", "0", "dorsal right", "a.jpg"],
            ["../1", "0", "dorsal right", "a.jpg"],
            ["1", "yes", "dorsal right", "a.jpg"],
            ["1", "0", "dorsal right", "../../a.jpg"],
            ["1", "0", "dorsal right"],
        ],
    )
    def test_odd_row_is_named(self, hands, tmp_path, row):
        hands.rows = [["0000001", "0", "dorsal right", "b.jpg"], row]
        with pytest.raises(DataError, match=r"HandInfo\.csv.*line 3"):
            columns = ["id", "accessories", "aspectOfHand", "imageName"]
            prepare_11k_hands(hands.write(columns), tmp_path / "out", "dorsal-right", 0)
        assert not (tmp_path / "out").exists()

    def test_missing_column_is_named(self, hands, tmp_path):
        with pytest.raises(DataError, match="accessories"):
            prepare_11k_hands(hands.write(["id", "aspectOfHand", "imageName"]), tmp_path / "out", "dorsal-right", 0)

    @pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00bad"])
    def test_no_list(self, hands, tmp_path, content):
        if content is not None:
            (hands.root / "HandInfo.csv").write_bytes(content)
        with pytest.raises(DataError, match=r"HandInfo\.csv"):
            prepare_11k_hands(hands.root, tmp_path / "out", "dorsal-right", 0)

    def test_one_half_is_empty(self, hands, tmp_path):
        hands.add("0000001", 3)
        with pytest.raises(DataError, match="query"):
            prepare_11k_hands(hands.write(), tmp_path / "out", "dorsal-right", 0)
        assert not (tmp_path / "out").exists()

    def test_folder_that_is_not_empty_is_left_alone(self, hands, tmp_path):
        hands.add("0000001", 2), hands.add("0002001", 2)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine").touch()
        with pytest.raises(DataError, match="not empty"):
            prepare_11k_hands(hands.write(), tmp_path / "out", "dorsal-right", 0)
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


class TestLinks:
    """Hard links first, then symbolic ones, then copies."""

    @pytest.fixture
    def raw(self, hands):
        hands.add("0000001", 2), hands.add("0002001", 2)
        return hands.write()

    def refuse(self, monkeypatch, *names):
        def refused(*_):
            raise OSError(18, "Invalid cross-device link")

        for name in names:
            monkeypatch.setattr(Path, name, refused)

    @pytest.mark.parametrize(
        ("refused", "how"), [([], "hard link"), (["hardlink_to"], "symlink"), (["hardlink_to", "symlink_to"], "copy")]
    )
    def test_first_that_works(self, raw, tmp_path, monkeypatch, refused, how):
        monkeypatch.chdir(tmp_path)
        self.refuse(monkeypatch, *refused)
        prepared = prepare_11k_hands(Path(raw.name), Path("out"), "dorsal-right", 0)
        assert [name for name, _ in prepared.linked] == [how]
        for image in (tmp_path / "out").glob("*/*/*.jpg"):
            assert image.read_bytes() == image.name.encode()
            assert image.is_symlink() == (how == "symlink")
            assert image.samefile(raw / "Hands" / image.name) == (how != "copy")

    def test_fault_half_way_leaves_nothing(self, raw, tmp_path, monkeypatch):
        self.refuse(monkeypatch, "hardlink_to", "symlink_to")

        def full(*_):
            raise OSError(28, "No space left on device", "image")

        monkeypatch.setattr(prepare_module.shutil, "copyfile", full)
        with pytest.raises(DataError, match="No space left"):
            prepare_11k_hands(raw, tmp_path / "out", "dorsal-right", 0)
        assert [path.name for path in tmp_path.iterdir()] == ["raw"]


class TestMarket1501:
    @pytest.fixture
    def raw(self, tmp_path):
        for folder, names in {
            "bounding_box_train": ["0002_c1s1_000451_03.jpg", "0002_c2s1_000301_01.jpg", "0007_c1s1_000001_01.jpg"],
            "query": ["0001_c1s1_001051_00.jpg", "0001_c2s1_000301_00.jpg"],
            "bounding_box_test": [
                "0001_c1s1_001051_03.jpg",
                "0001_c3s1_000551_00.jpg",
                "0000_c1s1_000151_01.jpg",
                "-1_c1s1_000401_03.jpg",
                "Thumbs.db",
            ],
        }.items():
            (tmp_path / "raw" / folder).mkdir(parents=True)
            for name in names:
                (tmp_path / "raw" / folder / name).touch()
        return tmp_path / "raw"

    def test_layout(self, raw, tmp_path):
        prepared = prepare_market_1501(raw, tmp_path / "out")
        out = tmp_path / "out"
        assert {name: len(images) for name, images in held(out / "train").items()} == {"0002": 2, "0007": 1}
        assert set(held(out / "query0")) == {"0001"}
        assert set(held(out / "gallery0")) == {"0000", "0001"}
        assert prepared.left_out == (("junk, identity -1", 1),)
        query, gallery = (read_folder(out / name, r"_c(\d+)") for name in ("query0", "gallery0"))
        cameras = query_gallery_cameras(query, gallery)
        assert cameras[0] is not None
        assert cameras[0].tolist() == [0, 1]
        assert cameras[1].tolist() == [0, 0, 2]

    def test_strange_name_is_named(self, raw, tmp_path):
        (raw / "query" / "somebody.jpg").touch()
        with pytest.raises(DataError, match="somebody"):
            prepare_market_1501(raw, tmp_path / "out")

    def test_missing_folder_is_named(self, raw, tmp_path):
        (raw / "query").rename(raw / "queries")
        with pytest.raises(DataError, match="query"):
            prepare_market_1501(raw, tmp_path / "out")


class TestCommand:
    def test_prepare_says_what_there_is_and_what_comes_next(self, hands, tmp_path, capsys):
        hands.add("0000001", 3), hands.add("0002001", 3), hands.add("0002001", 4, accessories="1")
        gone = hands.add("0000002", 1)
        raw = hands.write()
        (raw / "Hands" / gone[0]).unlink()
        out = tmp_path / "out"
        assert main(["data", "prepare", "11k-hands", str(raw), str(out), "--aspect", "dorsal-right"]) == 0
        printed = capsys.readouterr().out
        for words in ("train", "query9", "4 images left out", gone[0], "hard link", f'root = "{out}"', "dorsal-right"):
            assert words in printed

    def test_names_cannot_write_to_the_terminal(self, hands, tmp_path, capsys):
        hands.add("0000001", 3), hands.add("0002001", 3)
        hands.rows.append(["1", "27", "", "", "0", "0", "dorsal right", "[red]x\x1b[2J.jpg", "0"])
        out = tmp_path / "[bold]out"
        assert main(["data", "prepare", "11k-hands", str(hands.write()), str(out), "--aspect", "dorsal-right"]) == 0
        printed = capsys.readouterr().out
        assert "\x1b[2J" not in printed
        assert "[red]x" in printed
        assert "[bold]out" in printed

    def test_market(self, tmp_path, capsys):
        for folder in ("bounding_box_train", "query", "bounding_box_test"):
            (tmp_path / "raw" / folder).mkdir(parents=True)
            (tmp_path / "raw" / folder / "0002_c1s1_000451_03.jpg").touch()
        assert main(["data", "prepare", "market-1501", str(tmp_path / "raw"), str(tmp_path / "out")]) == 0
        assert "camera_pattern" in capsys.readouterr().out

    def test_fault_is_printed_and_the_exit_code_is_1(self, tmp_path, capsys):
        raw, out = str(tmp_path / "gone"), str(tmp_path / "out")
        assert main(["data", "prepare", "11k-hands", raw, out, "--aspect", "palmar-left"]) == 1
        assert "gone" in capsys.readouterr().err

    def test_demo(self, tmp_path, capsys):
        out = str(tmp_path / "out")
        sizes = ["--identities", "4", "--images", "2", "--size", "32"]
        assert main(["data", "demo", out, *sizes]) == 0
        assert "gallery0" in capsys.readouterr().out
        with Image.open(next((tmp_path / "out" / "train").glob("*/*"))) as image:
            assert image.size == (32, 32)


@pytest.mark.skipif(not os.environ.get("REID_11K_HANDS"), reason="REID_11K_HANDS does not name the raw data set")
@pytest.mark.parametrize("aspect", ["dorsal-right", "dorsal-left"])
def test_real_data(tmp_path, aspect):
    raw = Path(os.environ["REID_11K_HANDS"])
    prepared = prepare_11k_hands(raw, tmp_path / "out", aspect, 0)
    train, query, gallery = (read_folder(tmp_path / "out" / name) for name in ("train", "query0", "gallery0"))
    assert not set(train.identities) & set(gallery.identities)
    assert set(query.identities) <= set(gallery.identities)
    assert max(int(name) for name in train.identities) <= THRESHOLDS[aspect] < min(map(int, gallery.identities))
    assert len(gallery) == len(gallery.identity_names)
    assert {folder.name: folder.images for folder in prepared.folders}["query0"] == len(query)
