"""Run folders: found, held while they are live, and read back for resuming. torch is not needed for it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.errors import ProfileError, ReidError
from core.events import Event, from_json
from core.profile import Profile
from core.profile_files import expand, load_profile

# What a resumed run may be given anew. Everything else shaped the weights, the optimizer or the order of the batches.
SAFE_TO_CHANGE = (
    "train.epochs",
    "train.early_stop_patience",
    "train.checkpoint_minutes",
    "validate.every",
    "data.root",
    "data.unreadable_images",
    "run.device",
)


def find_run(runs: Path, name: str | None) -> Path:
    """The folder of a run: by path, by its name in `runs`, or the newest there.

    Raises:
        ReidError: there is none.
    """
    if name:
        for folder in (expand(name), runs / name):
            if (folder / "profile.toml").is_file():
                return folder.resolve()
        raise ReidError("No such run", f"neither {name} nor {runs / name} is a run folder (it has no profile.toml)")
    written = [path for path in runs.glob("*/events.jsonl") if (path.parent / "profile.toml").is_file()]
    if not written:
        raise ReidError("No run to resume", f"there is no run folder in {runs.resolve()}")
    return max(written, key=lambda path: path.stat().st_mtime).parent.resolve()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run folder for as long as its run is live; the kernel lets go of it if the process dies.

    Raises:
        ReidError: another process holds it.
        OSError: the lock file cannot be made.
    """
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ReidError("The run is live", f"another process trains in {folder}; stop it first") from None
        yield


def clear_leftovers(folder: Path) -> None:
    """Remove the temporary files of a process that was killed while it saved. Only for who holds the folder."""
    for place in (folder, folder / "checkpoints"):
        for path in place.glob(".*.tmp"):
            path.unlink(missing_ok=True)


def resumed_profile(folder: Path, overrides: Sequence[str]) -> Profile:
    """The profile of a run, with what may be changed.

    Raises:
        ProfileError: an override is not safe, or something is wrong with the profile.
    """
    refused = [override for override in overrides if override.partition("=")[0].strip() not in SAFE_TO_CHANGE]
    if refused:
        raise ProfileError(
            str(folder / "profile.toml"),
            [
                f"--set {override}: a run cannot be resumed with another value: what was trained so far would not be "
                f"what the profile says; launch a new run (safe: {', '.join(SAFE_TO_CHANGE)})"
                for override in refused
            ],
        )
    return load_profile(folder / "profile.toml", overrides)


def past_events(folder: Path) -> Iterator[Event]:
    """The events of a run so far. Torn lines, of a process that was killed, are passed over."""
    with (folder / "events.jsonl").open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield from_json(line)
            except ValueError:
                continue
