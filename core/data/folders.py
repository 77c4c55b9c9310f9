"""The folder layout, `train/`, `query0/`, `gallery0/`: one subfolder per identity, its images at any depth."""

from __future__ import annotations

import os
import random
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import DataError
from core.printable import shown

Numbers = NDArray[np.int64]

# Formats that Pillow names but cannot decode on its own: data and drawings, not images of anybody.
_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
_WAY_OUT = "one subfolder per identity, with its images, belongs there (see `reid-tui data --help`)"


@dataclass(frozen=True)
class Images:
    """Images of known identities, in order.

    Attributes:
        paths: the files.
        identities: the identity of each, which is its folder's name.
        cameras: the camera of each, or None where cameras are unknown.
    """

    paths: tuple[Path, ...]
    identities: tuple[str, ...]
    cameras: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.paths), len(self.identities), *([] if self.cameras is None else [len(self.cameras)])}
        if len(lengths) > 1:
            raise ValueError("paths, identities and cameras differ in length")

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def identity_names(self) -> tuple[str, ...]:
        """The distinct identities, sorted; an identity's place in it is its number."""
        return tuple(sorted(set(self.identities)))

    def take(self, places: Iterable[int]) -> Images:
        """The images at these places, in the order given."""
        places = list(places)
        return Images(
            tuple(self.paths[place] for place in places),
            tuple(self.identities[place] for place in places),
            None if self.cameras is None else tuple(self.cameras[place] for place in places),
        )


def read_folder(folder: Path, camera_pattern: str = "") -> Images:
    """Find the images of a folder with one subfolder per identity, sorted by path.

    Hidden files, files that are no images by their suffix and subfolders without an image are passed over. The images
    are not opened.

    Args:
        folder: for example `train`.
        camera_pattern: regular expression with one group that finds the camera in a file's name; empty: unknown.

    Raises:
        DataError: the folder cannot be read or holds no image of an identity, or a file's name tells no camera.
    """
    paths: list[Path] = []
    identities: list[str] = []
    try:
        entries = _entries(folder)
        for entry in entries:
            if entry.is_dir():
                found = list(_images_under(Path(entry.path), ()))
                paths += found
                identities += [entry.name] * len(found)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError("No such folder", f"{shown(error.filename or folder)}; {_WAY_OUT}") from error
    except OSError as error:
        raise DataError("Folder cannot be read", f"{shown(error.filename or folder)}: {error.strerror}") from error
    if not paths:
        loose = any(_is_image(entry.name) for entry in entries)
        problem = "its images lie in it directly" if loose else "it holds no image"
        raise DataError("No identities found", f"{shown(folder)}: {problem}; {_WAY_OUT}")
    cameras = tuple(_camera(path, camera_pattern) for path in paths) if camera_pattern else None
    return Images(tuple(paths), tuple(identities), cameras)


def number(names: Iterable[str]) -> dict[str, int]:
    """Number names from 0 in sorted order, each once, whatever order and however often they come."""
    return {name: place for place, name in enumerate(sorted(set(names)))}


def identity_ids(images: Images) -> Numbers:
    """The number of each image's identity: its place in `images.identity_names`. Shape (images,), int64."""
    return _numbered(images.identities, number(images.identities))


def query_gallery_ids(query: Images, gallery: Images) -> tuple[Numbers, Numbers]:
    """Identities of query and gallery, each of shape (images,), in one numbering that both share."""
    numbering = number((*query.identities, *gallery.identities))
    return _numbered(query.identities, numbering), _numbered(gallery.identities, numbering)


def query_gallery_cameras(query: Images, gallery: Images) -> tuple[Numbers, Numbers] | tuple[None, None]:
    """Cameras of query and gallery in one numbering that both share; two Nones where either's are unknown."""
    if query.cameras is None or gallery.cameras is None:
        return None, None
    numbering = number((*query.cameras, *gallery.cameras))
    return _numbered(query.cameras, numbering), _numbered(gallery.cameras, numbering)


def hold_out(train: Images, share: float, seed: int) -> tuple[Images, Images, Images]:
    """Take a share of the identities out of training, to validate on: no image of theirs is trained on.

    Without cameras, each held-out identity has one image drawn for the gallery, and the others are queries (the
    protocol of 11k Hands). With cameras, one image per identity and camera is a query, and all held-out images are
    the gallery, where those of the query's own identity and camera, itself included, are junk (that of Market-1501).
    Only an identity that can be found again is taken: of two images, or, with cameras, seen by two of them.

    Args:
        train: the training images.
        share: of its identities, 0..1; at least two are taken.
        seed: the same seed takes the same identities and images on any file system.

    Returns:
        Training images without the held-out identities, query images, gallery images.

    Raises:
        DataError: fewer than two identities can be held out, or fewer than two would be left for training.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place in sorted(range(len(train)), key=lambda place: train.paths[place].as_posix()):
        places[train.identities[place]].append(place)
    views = train.cameras or tuple(map(str, range(len(train))))
    eligible = [name for name in sorted(places) if len({views[place] for place in places[name]}) > 1]
    taken = min(max(2, round(share * len(places))), len(eligible))
    if taken < 2 or len(places) - taken < 2:
        where = os.path.commonpath(train.paths) if train.paths else "train"
        asked = "two cameras" if train.cameras else "two images"
        raise DataError(
            "Too few identities to hold some out",
            f"{shown(where)} has {len(places)} identities, {len(eligible)} of them with at least {asked}; "
            f"a share of {share:g} must take two and leave two. "
            'Change validate.held_out_share, or validate on test splits (validate.on = "splits")',
        )
    held = set(random.Random(f"{seed}:held-out").sample(eligible, taken))
    query: list[int] = []
    gallery: list[int] = []
    for name in sorted(held):
        draw = random.Random(f"{seed}:held-out:{name}")
        if train.cameras:
            seen = sorted({views[place] for place in places[name]})
            query += [draw.choice([place for place in places[name] if views[place] == view]) for view in seen]
            gallery += places[name]
        else:
            drawn = draw.choice(places[name])
            gallery.append(drawn)
            query += [place for place in places[name] if place != drawn]
    kept = [place for place, name in enumerate(train.identities) if name not in held]
    return train.take(kept), train.take(query), train.take(gallery)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a folder to fill, which becomes `out` when the block ends, and vanishes when it fails or is interrupted.

    Raises:
        DataError: `out` has something in it, is the working folder, or cannot be written.
    """
    out = out.expanduser().resolve()
    if out == Path.cwd():
        raise DataError("Folder cannot be written", f"{shown(out)} is the folder you are in; name a new one")
    try:
        _refuse_unless_empty(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as beside:
            filling = Path(beside) / "new"  # of the user's own permissions, unlike the one around it
            filling.mkdir()
            yield filling
            _refuse_unless_empty(out)
            filling.rename(out)
    except OSError as error:
        where = error.filename2 or error.filename or out
        raise DataError("Folder cannot be written", f"{shown(where)}: {error.strerror}; name another one") from error


def _refuse_unless_empty(out: Path) -> None:
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DataError("Folder is not empty", f"{shown(out)} is there already; name a new folder, or remove it")


def _numbered(names: Sequence[str], numbering: dict[str, int]) -> Numbers:
    return np.fromiter((numbering[name] for name in names), dtype=np.int64, count=len(names))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        return sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _images_under(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:  # a link that leads back up
        return
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _images_under(Path(entry.path), (*above, real))
        elif _is_image(entry.name):
            yield Path(entry.path)


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in _image_suffixes()


@cache
def _image_suffixes() -> frozenset[str]:
    known = Image.registered_extensions()
    return frozenset(end for end, kind in known.items() if kind in Image.OPEN and kind not in _NOT_DECODED)


def _camera(path: Path, pattern: str) -> str:
    found = re.search(pattern, path.name)
    if found is None or found[1] is None:
        raise DataError(
            "No camera in a file name",
            f"{shown(path)}: data.camera_pattern {pattern!r} finds nothing in its name; "
            "correct the pattern, or leave it empty where cameras are unknown",
        )
    return str(found[1])
