"""Which runs are to be made of some profiles and sweeps. Everything is checked before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import ProfileError
from core.profile import Profile
from core.profile_files import read_profile
from core.sweep import Sweep, check_sweeps, combinations


@dataclass(frozen=True)
class PlannedRun:
    """A run to be made: `title` tells it from the others ("demo · train.lr=1e-5")."""

    title: str
    profile: Profile


def plan_runs(paths: Sequence[Path], overrides: Sequence[str] = (), sweeps: Sequence[Sweep] = ()) -> list[PlannedRun]:
    """Every profile with every combination, in the order given; a profile may be named several times.

    Raises:
        ProfileError: with every problem of every run, each once.
    """
    check_sweeps(sweeps, overrides, len(paths))
    runs: list[PlannedRun] = []
    problems: dict[str, None] = {}
    wrong: dict[Path, None] = {}
    for path in paths:
        for combination in combinations(sweeps):
            reading = read_profile(path, [*overrides, *combination])
            problems |= dict.fromkeys(reading.problems)  # most are those of the file, the same each time
            if reading.problems:
                wrong[path] = None
            if reading.launchable is not None:
                runs.append(PlannedRun(" · ".join([path.stem, *combination]), reading.launchable))
    if problems:
        raise ProfileError(", ".join(map(str, wrong)), list(problems))
    return runs
