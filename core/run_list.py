"""The runs of this machine, wherever their folders are: listed, found, remembered. torch is not needed for it."""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import platformdirs

from core.atomic import atomic_write
from core.errors import ReidError
from core.file_locks import folder_lock
from core.profile_files import expand
from core.run_lock import LOCK
from core.run_summary import RunSummary, summarize

_REMEMBERED = 2000  # folders; from there on the list is cut to those that are still there


def list_runs(runs: Path | None = None) -> list[RunSummary]:
    """The runs in a folder, newest first; None: those in `./runs`, and all that were started on this machine."""
    summaries = []
    for folder in run_folders(runs):
        with suppress(OSError):  # somebody else's, or deleted meanwhile
            summaries.append(summarize(folder))
    return sorted(summaries, key=lambda run: run.began if not math.isnan(run.began) else 0.0, reverse=True)


def run_folders(runs: Path | None = None) -> list[Path]:
    """Folders of `list_runs`, in no order."""
    near = [path.parent for path in (runs or Path("runs")).glob("*/profile.toml")]
    far = [] if runs else remembered()
    return list(dict.fromkeys(folder.resolve() for folder in (*near, *far) if _has_run(folder)))


def _has_run(folder: Path) -> bool:
    """A folder of profiles is none of runs: a run has a lock, and said something unless it has just begun."""
    return _is_there(folder / "profile.toml") and (_is_there(folder / LOCK) or _is_there(folder / "events.jsonl"))


def _is_there(path: Path) -> bool:
    """What may not be looked at is not there, nor is what no file system could have."""
    try:
        return path.exists()
    except OSError:
        return False


def find_run(name: str | None, runs: Path | None = None, *, live_first: bool = False) -> Path:
    """The folder of a run: by path, by its name, or the latest.

    Args:
        name: a path, or the name of a run of `list_runs`, or a part of one (its time, say); None: the latest,
            in `./runs` if there is one.
        runs: the folder that holds the run folders; None: as in `list_runs`.
        live_first: whether a live run comes before a later one that has ended.

    Raises:
        ReidError: there is none, or the name could be several.
    """
    if name:
        if _is_there((path := expand(name)) / "profile.toml"):
            return path.resolve()
        folders = run_folders(runs)
        found = [folder for folder in folders if folder.name == name] or [f for f in folders if name in f.name]
        if len(found) > 1:
            runs_found = [summarize(folder) for folder in sorted(found)]
            if live_first and len(live := [run for run in runs_found if run.live]) == 1:
                return live[0].folder
            listed = "\n".join(f"{run.standing:<9} {run.folder}" for run in runs_found)
            raise ReidError("Several runs of that name", f"name one in full:\n{listed}")
        if not found:
            raise ReidError("No such run", f"there is no run {name} here; `reid-tui runs` lists them")
        return found[0]
    here = (runs or Path("runs")).resolve()
    candidates = list_runs(runs)
    if not candidates:
        raise ReidError("There is no run yet", f"neither in {here} nor elsewhere; begin one with `reid-tui launch`")
    return max(
        candidates,
        key=lambda run: (
            live_first and run.live,
            run.standing != "waiting",  # one that is at work says more
            run.folder.parent == here,
            run.began if live_first and run.live else run.changed,  # of two that are at work, both have just changed
        ),
    ).folder


def remember(folder: Path) -> None:
    """Note the folder of a run that begins here, for `list_runs`.

    Raises:
        OSError: the list cannot be written.
    """
    path = _list_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with folder_lock(path.parent):
        known = _read_list(path)
        if len(known) > _REMEMBERED:
            kept = [line for line in known if _is_there(Path(line))][-_REMEMBERED // 2 :]
            atomic_write(path, lambda file: file.write("".join(json.dumps(line) + "\n" for line in kept).encode()))
        torn = path.exists() and not path.read_bytes().endswith(b"\n")  # the disk was full
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" * torn + json.dumps(str(folder)) + "\n")


def remembered() -> Iterable[Path]:
    """The folders of `remember`, each once; some may be gone."""
    return dict.fromkeys(Path(line) for line in _read_list(_list_file()))


def _read_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        with suppress(ValueError, RecursionError):
            if isinstance(folder := json.loads(line), str) and "\0" not in folder:
                folders.append(folder)
    return folders


def _list_file() -> Path:
    """One for each machine: a home folder may be shared by many."""
    return platformdirs.user_state_path("reid-tui") / f"runs-{socket.gethostname()}.jsonl"
