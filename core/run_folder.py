"""Run folders: made, and read back for resuming. torch is not needed for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from core.atomic import atomic_write
from core.errors import ProfileError
from core.naming import make_run_folder, run_folder_name
from core.profile import Profile
from core.profile_files import expand, load_profile, write_profile

# What a resumed run may be given anew. Everything else shaped the weights, the optimizer or the order of the batches;
# `train.compile` and another device move the last bits of a number, `train.grad_checkpointing` none.
SAFE_TO_CHANGE = (
    "train.epochs",
    "train.early_stop_patience",
    "train.checkpoint_minutes",
    "train.grad_checkpointing",
    "train.compile",
    "validate.every",
    "data.root",
    "data.unreadable_images",
    "run.device",
)


def new_run_folder(profile: Profile) -> Path:
    """Make the folder of a new run, with its profile in it.

    Raises:
        ReidError: the folder cannot be made.
        OSError: the profile cannot be written to it.
    """
    folder = make_run_folder(expand(profile.run.dir).resolve(), run_folder_name(profile, datetime.now()))
    save_profile(folder, profile)
    return folder


def save_profile(folder: Path, profile: Profile) -> None:
    """Write `profile.toml`, whole or not at all."""
    atomic_write(folder / "profile.toml", lambda file: file.write(write_profile(profile).encode()))


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
