"""The door to the engine: torch is imported in these functions, when they are called, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.control import RunControl
    from core.events import RunFinished
    from core.profile import Profile
    from reid_tui.live_run import Emit


def run_profile(profile: Profile, emit: Emit, control: RunControl) -> RunFinished:
    """See `core.session`."""
    from core.session import run_profile

    return run_profile(profile, emit, control)


def resume_run(folder: Path, overrides: Sequence[str], emit: Emit, control: RunControl) -> RunFinished:
    """See `core.session`."""
    from core.session import resume_run

    return resume_run(folder, overrides, emit, control)


def load_torch() -> None:
    """Import what a run will need."""
    import core.session
    from core.architectures import import_open_clip

    assert core.session
    import_open_clip()
