"""A run in a process of its own session, which no terminal takes with it: started here, and what that process does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from core.run_lock import hold

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


def how_to_come_back(folder: Path) -> list[str]:
    """What to print for somebody who leaves a run that goes on."""
    return [
        f"the run goes on in {folder}",
        f"  reid-tui attach {folder.name}    to watch it",
        f"  reid-tui stop {folder.name}      to stop it",
    ]


def main(arguments: Sequence[str]) -> int:
    """In the new process. Arguments: the program's name, the folder, the descriptor of its lock, overrides."""
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
