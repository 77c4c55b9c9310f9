"""Public data sets, as they are downloaded, brought into the folder layout by their published protocols.

Images are linked, not copied, where the file system allows it.
"""

from __future__ import annotations

import csv
import os
import random
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.data.folders import new_folder
from core.errors import DataError
from core.printable import shown

# The last identity of the training half (https://github.com/nathanlem1/MBA-Net, prepare_train_val_test_11k_r_l.py).
LAST_TRAINING_ID = {"dorsal-right": 1050, "dorsal-left": 1037, "palmar-right": 1051, "palmar-left": 1042}
SPLITS = 10

_COLUMNS = ("id", "accessories", "aspectOfHand", "imageName")
_MARKET_FOLDERS = {"train": "bounding_box_train", "query0": "query", "gallery0": "bounding_box_test"}
_MARKET_NAME = re.compile(r"(-1|\d{4})_c\d+s\d+_\d+_\d+\.jpg(\.jpg)?")

Placed = Mapping[str, Mapping[str, Sequence[Path]]]  # folder, identity, its images


@dataclass(frozen=True)
class Folder:
    """A folder that was built: its name, and how many identities and images it holds."""

    name: str
    identities: int
    images: int


@dataclass(frozen=True)
class Prepared:
    """What was built, and what was not.

    Attributes:
        out: the folder of the layout.
        folders: what it holds.
        left_out: images that the protocol leaves out: (why, how many).
        single: identities of one image: in training they are in `train` and not in `val`; in testing they are in
            every gallery and have no query.
        missing: images that are listed and not there, by name; they are left out.
        linked: how the images were put there: (`hard link`, `symlink` or `copy`, how many).
    """

    out: Path
    folders: tuple[Folder, ...]
    left_out: tuple[tuple[str, int], ...]
    single: int
    missing: tuple[str, ...]
    linked: tuple[tuple[str, int], ...]


def prepare_11k_hands(raw: Path, out: Path, aspect: str, seed: int = 0) -> Prepared:
    """Build the layout from 11k Hands (Afifi, 2019) by the protocol of MBA-Net (Baisa et al., 2022).

    Images with accessories are left out. Identities up to a number train, the others test. `val` has one image of each
    training identity, drawn, and `train` the others. Ten times, `galleryN` has one image of each test identity, drawn,
    and `queryN` the others. Of an identity with one image see `Prepared.single`: the original moves a training one
    to `val`, where it would be a class that nothing was trained for.

    Args:
        raw: folder with `Hands/` and `HandInfo.csv`.
        out: a new or empty folder.
        aspect: `dorsal-right`, `dorsal-left`, `palmar-right` or `palmar-left`.
        seed: of the draws; the same seed draws the same images on any file system.

    Raises:
        DataError: `raw` is not that data set, nothing is left of one half, or `out` is taken or cannot be written.
    """
    if aspect not in LAST_TRAINING_ID:
        raise DataError("No such aspect", f"{shown(aspect)}; there are {', '.join(LAST_TRAINING_ID)}")
    listed, accessories = _read_hand_info(raw / "HandInfo.csv", aspect)
    there = _files(raw / "Hands")
    missing = tuple(name for names in listed.values() for name in names if name not in there)
    hands = {
        person: [there[name] for name in names if name in there]
        for person, names in listed.items()
        if any(name in there for name in names)
    }
    placed: dict[str, dict[str, list[Path]]] = defaultdict(dict)
    for person, images in hands.items():
        if int(person) <= LAST_TRAINING_ID[aspect]:
            drawn = _draw(images, f"{seed}:val:{person}") if len(images) > 1 else None
            placed["train"][person] = [image for image in images if image != drawn]
            if drawn:
                placed["val"][person] = [drawn]
            continue
        for split in range(SPLITS):
            drawn = _draw(images, f"{seed}:split{split}:{person}")
            placed[f"gallery{split}"][person] = [drawn]
            if len(images) > 1:
                placed[f"query{split}"][person] = [image for image in images if image != drawn]
    for half, folder in (("training", "train"), ("query", "query0")):
        if folder not in placed:
            problem = f"of {aspect} no {half} image is listed and there ({len(missing)} of the listed are missing)"
            raise DataError("Nothing to build from", f"{shown(raw)}: {problem}; is the data set whole?")
    single = sum(len(images) == 1 for images in hands.values())
    return _build(out, placed, (("with accessories", accessories),), single, missing)


def prepare_market_1501(raw: Path, out: Path) -> Prepared:
    """Build the layout from Market-1501 (Zheng et al., 2015); file names, which tell the camera, are kept.

    Identity -1, which the authors call junk, is left out; the distractors, identity 0000, stay in the gallery.

    Args:
        raw: folder with `bounding_box_train/`, `query/` and `bounding_box_test/`.
        out: a new or empty folder.

    Raises:
        DataError: `raw` is not that data set, or `out` is taken or cannot be written.
    """
    placed: dict[str, dict[str, list[Path]]] = {}
    junk = 0
    for folder, source in _MARKET_FOLDERS.items():
        people: dict[str, list[Path]] = defaultdict(list)
        for name, path in _files(raw / source).items():
            if not name.lower().endswith(".jpg"):  # Thumbs.db
                continue
            read = _MARKET_NAME.fullmatch(name)
            if read is None:
                raise DataError("Not an image of Market-1501", f"{shown(path)}: expected a name like {_MARKET_EXAMPLE}")
            if read[1] == "-1":
                junk += 1
            else:
                people[read[1]].append(path)
        if not people:
            raise DataError("Nothing to build from", f"{shown(raw / source)} has no image like {_MARKET_EXAMPLE}")
        placed[folder] = people
    single = sum(len(images) == 1 for images in placed["train"].values())
    return _build(out, placed, (("junk, identity -1", junk),), single, ())


_MARKET_EXAMPLE = "0002_c1s1_000451_03.jpg"


def _read_hand_info(path: Path, aspect: str) -> tuple[dict[str, list[str]], int]:
    """Names of the images of an aspect by identity, all sorted, and how many more show accessories."""
    people: dict[int, set[str]] = defaultdict(set)
    spelled: dict[int, str] = {}
    accessories = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            absent = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
            if absent:
                raise _odd(path, f"has no column {', '.join(absent)}")
            for row in rows:
                if _cell(row, "aspectOfHand") != aspect.replace("-", " "):
                    continue
                person, name = _cell(row, "id"), _cell(row, "imageName")  # one id in the original ends in a blank
                if not re.fullmatch(r"[0-9]+", person) or _cell(row, "accessories") not in {"0", "1"}:
                    raise _odd(path, f"line {rows.line_num}: id must be a number, and accessories 0 or 1")
                if not name or name.startswith(".") or name != Path(name).name:
                    raise _odd(path, f"line {rows.line_num}: imageName must be the name of a file in Hands/")
                if _cell(row, "accessories") == "1":
                    accessories += 1
                    continue
                people[int(person)].add(name)
                spelled[int(person)] = min(person, spelled.get(int(person), person))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        problem = error.strerror if isinstance(error, OSError) else str(error)
        raise _odd(path, f"cannot be read: {problem}") from error
    return {spelled[person]: sorted(people[person]) for person in sorted(people)}, accessories


def _cell(row: Mapping[str, str | None], column: str) -> str:
    return (row[column] or "").strip()


def _odd(path: Path, problem: str) -> DataError:
    way_out = "RAW is the folder that holds Hands/ and HandInfo.csv as they are downloaded"
    return DataError("Not the list of 11k Hands", f"{shown(path)}: {problem}; {way_out}")


def _files(folder: Path) -> dict[str, Path]:
    """The files of a folder by name, sorted; where one is a link, the file that it leads to."""
    try:
        return {path.name: path.resolve() for path in sorted(folder.iterdir()) if path.is_file()}
    except OSError as error:
        problem = f"{shown(folder)}: {error.strerror}; RAW is the folder that holds {folder.name}/"
        raise DataError("Folder cannot be read", problem) from error


def _draw(images: Sequence[Path], stream: str) -> Path:
    """One of them; each identity and each purpose has its own stream, so that no other changes the draw."""
    return random.Random(stream).choice(images)


def _build(
    out: Path, placed: Placed, left_out: tuple[tuple[str, int], ...], single: int, missing: tuple[str, ...]
) -> Prepared:
    linked: Counter[str] = Counter()
    with new_folder(out) as filling:
        for folder, people in placed.items():
            for person, images in people.items():
                (filling / folder / person).mkdir(parents=True)
                linked.update(_put(image, filling / folder / person / image.name) for image in images)
    folders = [
        Folder(name, len(people), sum(len(images) for images in people.values())) for name, people in placed.items()
    ]
    return Prepared(out, tuple(sorted(folders, key=_order)), left_out, single, missing, tuple(linked.items()))


def _order(folder: Folder) -> tuple[int, int, str]:
    """Training folders first, then the splits by number, query before gallery."""
    kind, digits = folder.name.rstrip("0123456789"), re.sub(r"\D", "", folder.name)
    return int(digits or -1), ["train", "val", "query", "gallery"].index(kind), folder.name


def _put(image: Path, place: Path) -> str:
    """A hard link, or a symbolic one, or a copy: the first that the file system and its rights allow."""
    try:
        place.hardlink_to(image)
        return "hard link"
    except OSError:
        pass
    try:
        place.symlink_to(image)
        return "symlink"
    except OSError:
        shutil.copyfile(image, place)
        os.utime(place, ns=(image.stat().st_atime_ns, image.stat().st_mtime_ns))
        return "copy"
