"""The images that a run trains on and those it is validated on, as its profile says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from core.data.demo_hands import ensure_demo_hands
from core.data.folders import Images, hold_out, identity_ids, query_gallery_cameras, query_gallery_ids, read_folder
from core.errors import DataError
from core.profile import Profile
from core.profile_files import DEMO_ROOT, expand

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Query and gallery in one numbering of identities (and of cameras, where they are known)."""

    name: str
    query: Images
    gallery: Images
    query_ids: Labels
    gallery_ids: Labels
    query_cams: Labels | None
    gallery_cams: Labels | None


@dataclass(frozen=True)
class DataSet:
    """Training images with their identities, numbered from 0, and the splits of validation."""

    root: Path
    train: Images
    train_ids: Labels
    identity_names: tuple[str, ...]
    splits: tuple[Split, ...]
    split: str  # "test" or "held-out"
    validated_on: str


def read_dataset(profile: Profile) -> DataSet:
    """Find the images of a run; none is opened. The synthetic set is drawn where it does not exist yet.

    Raises:
        DataError: a folder is missing, empty, or not in the layout; or there is one identity only.
    """
    data, validation = profile.data, profile.validation
    root = ensure_demo_hands() if data.root == DEMO_ROOT else expand(data.root)
    train = read_folder(root / "train", data.camera_pattern)
    if validation.on == "held-out":
        train, query, gallery = hold_out(train, validation.held_out_share, profile.run.seed)
        pairs = [("held-out", query, gallery)]
        validated_on = f"held out of train/ ({len(query.identity_names)} identities)"
    else:
        pairs = [
            (
                f"query{n}/gallery{n}",
                read_folder(root / f"query{n}", data.camera_pattern),
                read_folder(root / f"gallery{n}", data.camera_pattern),
            )
            for n in validation.splits
        ]
        validated_on = f"{', '.join(name for name, _, _ in pairs)} (test split)"
    if len(train.identity_names) < 2:
        raise DataError("One identity only", f"{root / 'train'} has one identity; a triplet needs two at the least")
    return DataSet(
        root=root,
        train=train,
        train_ids=identity_ids(train),
        identity_names=train.identity_names,
        splits=tuple(_split(*pair) for pair in pairs),
        split="held-out" if validation.on == "held-out" else "test",
        validated_on=validated_on,
    )


def train_names(data: DataSet) -> list[str]:
    """The training images by their paths in `train/`, in order."""
    return [path.relative_to(data.root / "train").as_posix() for path in data.train.paths]


def as_begun_with(data: DataSet, names: Sequence[str]) -> tuple[DataSet, str]:
    """The training images that a run was begun with, in their order, whatever has come and gone since.

    The order of batches is drawn by place, so that one file less would change every batch. Those that are gone stay in
    their places, and are missed when they are wanted.

    Args:
        data: as it is found now.
        names: what `train_names` gave when the run began.

    Returns:
        The data set, and what has changed, in words; empty: nothing.

    Raises:
        DataError: a name is none of an image in `train/`.
    """
    where = data.root / "train"
    now = train_names(data)
    if now == list(names):
        return data, ""
    identities = tuple(PurePosixPath(name).parts[0] for name in names)
    if not set(identities) <= set(data.identity_names) or any(".." in PurePosixPath(name).parts for name in names):
        raise DataError("The data have changed", f"{where} has other identities than the run was begun with")
    train = Images(tuple(where / name for name in names), identities)
    gone, new = len(set(names) - set(now)), len(set(now) - set(names))
    words = f"{where}: since the run began, {gone} images have gone, and {new} have come, which are not trained on"
    return replace(data, train=train, train_ids=identity_ids(train)), words


def _split(name: str, query: Images, gallery: Images) -> Split:
    return Split(name, query, gallery, *query_gallery_ids(query, gallery), *query_gallery_cameras(query, gallery))
