"""Names of run folders and checkpoints: what was trained on what and how, and when."""

from __future__ import annotations

import itertools
import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from core.errors import ReidError
from core.profile import Profile

MAX_STEM = 150  # characters; leaves room for a timestamp and `_BEST.pth` within the 255 bytes of most file systems


def build_filename(profile: Profile) -> str:
    """The stem of a run's files: `demo_RN-tiny_hands_dorsal-right_e12_lr1e-3_b32`.

    Experiment, model, data set, aspect, epochs, learning rate and batch size, joined by underscores; empty parts are
    left out, what is not A-Z, a-z, 0-9, `.`, `+` or `-` becomes `-`, and where all is longer than `MAX_STEM`
    characters the longest of the first four parts is cut.
    """
    train = profile.train
    named = [profile.run.name, profile.model.name, profile.data.dataset, profile.data.aspect]
    parts = [part for part in map(_sanitised, named) if part]
    numbers = [f"e{train.epochs}", f"lr{_short(train.lr)}", f"b{train.batch_size}"]
    while (excess := len("_".join(parts + numbers)) - MAX_STEM) > 0:
        longest = max(range(len(parts)), key=lambda index: len(parts[index]))
        second = max((len(part) for index, part in enumerate(parts) if index != longest), default=0)
        length = len(parts[longest])
        # Down to the second longest at first, so that no part is cut more than it must be.
        parts[longest] = parts[longest][: max(length - excess, min(second, length - 1))].rstrip(".-")
    return "_".join(parts + numbers)


def is_stem(name: str) -> bool:
    """Whether `build_filename` may have made it: a plain file name, which leads nowhere else."""
    return len(name) <= MAX_STEM and re.fullmatch(r"[A-Za-z0-9+][A-Za-z0-9.+_-]*", name) is not None


def run_folder_name(profile: Profile, now: datetime) -> str:
    """The name of a run's folder: the stem and the local time of its start, to the second."""
    return f"{build_filename(profile)}_{now:%Y%m%d-%H%M%S}"


def make_run_folder(parent: Path, name: str) -> Path:
    """Create the folder of a new run and nobody else's: `name`, or `name-2`, `name-3` … where it is taken.

    Raises:
        ReidError: the folder cannot be made.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            folder = parent / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()  # fails where it is there, so two runs that start together get two folders
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise ReidError(
            "Run folder cannot be made",
            f"{parent / name}: {error.strerror}; set run.dir to a folder that can be written to",
        ) from error
    raise AssertionError("unreachable: the count has no end")


def _sanitised(part: str) -> str:
    """Letters, digits, `.`, `+`, `-`; neither hidden nor ending in a dot."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", part).strip(".-")


def _short(rate: float) -> str:
    """A rate in as few characters as tell it from every other: `1e-3`, `3.5e-4`, `2`."""
    sign, digits, exponent = Decimal(repr(rate)).normalize().as_tuple()
    power = int(exponent) + len(digits) - 1
    figures = "".join(map(str, digits))
    mantissa = f"{'-' if sign else ''}{figures[0]}{'.' if figures[1:] else ''}{figures[1:]}"
    return f"{mantissa}e{power}" if power else mantissa
