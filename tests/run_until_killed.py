"""Forks a process for each line of standard input: `run PROFILE` or `resume FOLDER`; prints its pid once it trains.

Forking from here, where torch is imported and nothing has run yet, spares each of them the seconds of the import.
"""

import os
import sys
import time
from pathlib import Path

from core.control import RunControl
from core.events import Event, RunStarted
from core.profile_files import load_profile
from core.session import resume_run, run_profile


def train(what: str, path: Path) -> None:
    began = time.time()

    def listen(event: Event) -> None:
        if isinstance(event, RunStarted) and event.time > began:
            print(os.getpid(), flush=True)

    if what == "resume":
        resume_run(path, [], listen, RunControl())
    else:
        run_profile(load_profile(path), listen, RunControl())


if __name__ == "__main__":
    import core.model

    core.model.import_open_clip()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            train(*(kind(word) for kind, word in zip((str, Path), line.split(), strict=True)))
            os._exit(0)
        print("killed" if os.WIFSIGNALED(os.waitpid(child, 0)[1]) else "ended", flush=True)
