"""A run in a process of its own session, which no terminal takes with it: started here, and what that process does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from core.run_lock import hold
from reid_tui.text import plural

_QUEUE = "--queue"
_PACKAGES = str(Path(__file__).parents[1])
# Not `-m`: it would search the working folder first, where a folder named `core` may lie.
_PROGRAM = "import sys; sys.path.append(sys.argv.pop(1)); from reid_tui.detached import main; sys.exit(main(sys.argv))"


def start(folder: Path, overrides: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Start a process that goes on with the run of a folder, from its first batch where it has no checkpoint yet.

    The folder's lock goes over to it without a gap. What the process prints besides its log ends in `run.log`.

    Raises:
        ReidError: the run is live.
        OSError: no process could be started.
    """
    lock = hold(folder)
    try:
        with (folder / "run.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, _PACKAGES, str(folder), str(lock), *overrides],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=(lock,),
                start_new_session=True,
            )
    finally:
        os.close(lock)


def start_queue(folders: Sequence[Path]) -> subprocess.Popen[bytes]:
    """Start a process that goes on with the runs of these folders, one after another.

    The locks of all of them go over to it: those that wait are live to everybody else, and nobody resumes them.

    Raises:
        ReidError: one of the runs is live.
        OSError: no process could be started.
    """
    locks: list[int] = []
    try:
        for folder in folders:
            locks.append(hold(folder))  # noqa: PERF401 - those that are held already are let go if one is not
        pairs = [text for folder, lock in zip(folders, locks, strict=True) for text in (str(folder), str(lock))]
        with (folders[0] / "run.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, _PACKAGES, _QUEUE, *pairs],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=locks,
                start_new_session=True,
            )
    finally:
        for lock in locks:
            os.close(lock)


def how_to_come_back(folder: Path, waiting: Sequence[Path] = (), process: int = 0) -> list[str]:
    """What to print for somebody who leaves a run that goes on, and with `waiting` the queue of a process."""
    lines = [
        f"the run goes on in {folder}",
        f"  reid-tui attach {folder.name}    to watch it",
        f"  reid-tui stop {folder.name}      to stop it",
    ]
    if waiting:
        lines += [f"{plural(len(waiting), 'run')} behind it, one after another:", *(f"  {path}" for path in waiting)]
        lines.append(f"  kill {process}    stops the one at work and drops the rest")
    return lines


def main(arguments: Sequence[str]) -> int:
    """In the new process. Arguments: the program's name, the folder, the descriptor of its lock, overrides; or the
    program's name, `--queue`, and for each run the folder and the descriptor of its lock."""
    if arguments[1] == _QUEUE:
        from reid_tui.detached_queue import work_through

        return work_through([Path(path) for path in arguments[2::2]], [int(lock) for lock in arguments[3::2]])
    from rich.console import Console

    from core.control import RunControl
    from core.events import RunFinished
    from reid_tui.console import Emit, run_headless

    folder, lock, overrides = Path(arguments[1]), int(arguments[2]), tuple(arguments[3:])
    os.set_inheritable(lock, False)

    def go_on(emit: Emit, control: RunControl) -> RunFinished:
        from core.session import resume_run

        finished = resume_run(folder, overrides, emit, control, lock)
        if not finished.folder:  # it did not come as far as its log
            sys.stderr.write(f"{finished.message}\n")
        return finished

    with Path(os.devnull).open("w") as nowhere:
        return run_headless(go_on, Console(file=nowhere))
