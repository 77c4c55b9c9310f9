"""What the process of a detached queue does: the runs of some folders, one after another."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from core.control import RunControl
from core.events import RunFinished
from core.profile import Profile
from core.profile_files import load_profile
from core.run_lock import LOCK
from reid_tui.console import Emit
from reid_tui.headless_queue import run_queue_headless
from reid_tui.run_queue import RunQueue


def work_through(folders: Sequence[Path], locks: Sequence[int]) -> int:
    """Go on with each run in its folder, whose lock was handed over. What will not begin leaves no folder behind."""
    for lock in locks:
        os.set_inheritable(lock, False)
    queue = RunQueue()
    places: dict[int, tuple[Path, int]] = {}
    for folder, lock in zip(folders, locks, strict=True):
        run = queue.add(folder.name, load_profile(folder / "profile.toml", check_folders=False))
        places[id(run.profile)] = (folder, lock)

    def go_on(profile: Profile, emit: Emit, control: RunControl) -> RunFinished:
        from core.session import resume_run

        folder, lock = places[id(profile)]
        with (folder / "run.log").open("ab") as log:
            os.dup2(log.fileno(), 2)
        finished = resume_run(folder, (), emit, control, lock)
        if not finished.folder:  # it did not come as far as its log
            sys.stderr.write(f"{finished.message}\n")
            sys.stderr.flush()
        return finished

    with Path(os.devnull).open("w") as nowhere:
        code = run_queue_headless(queue, go_on, Console(file=nowhere))
    for run in queue.having("dropped"):
        remove_unbegun(places[id(run.profile)][0])
    return code


def remove_unbegun(folder: Path) -> None:
    """Remove a run folder in which nothing has happened yet; one that holds anything else stays."""
    if {path.name for path in folder.iterdir()} <= {"profile.toml", LOCK}:
        with suppress(OSError):
            for name in ("profile.toml", LOCK):
                (folder / name).unlink(missing_ok=True)
            folder.rmdir()
