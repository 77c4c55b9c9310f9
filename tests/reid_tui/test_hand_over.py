"""A run that is left with `d` takes the queue along."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.events import RunFinished
from core.profile import Profile
from core.run_state import RunState, fold
from reid_tui import launch_app
from reid_tui.run_queue import QueuedRun, RunQueue


@pytest.mark.parametrize(
    ("reason", "waiting", "started"),
    [
        ("stopped", 2, ["first", "queue", "queue"]),
        ("stopped", 0, ["first"]),
        ("finished", 1, ["queue"]),
        ("finished", 0, []),
    ],
)
def test_the_queue_goes_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: Any, waiting: int, started: list[str]
) -> None:
    folders: list[Path] = []

    def start(given: Any) -> Any:
        folders.extend([given] if isinstance(given, Path) else given)
        return SimpleNamespace(pid=4711)

    monkeypatch.setattr(launch_app, "start", start)
    monkeypatch.setattr(launch_app, "start_queue", start)
    profile = Profile.model_validate(
        {"run": {"name": "queue", "dir": str(tmp_path)}, "data": {"root": "demo:hands"}, "model": {"name": "RN-tiny"}}
    )
    queue = RunQueue([QueuedRun("x", profile) for _ in range(waiting)])
    state = fold(RunState(), RunFinished(0.0, reason, "", 1, 1.0, folder=str(tmp_path / "first")))
    lines = launch_app._hand_over(state, queue)
    assert [folder.name.partition("_")[0] for folder in folders] == started
    assert len(set(folders)) == len(folders)
    assert any("kill 4711" in line for line in lines) is (len(started) > 1)
    assert bool(lines) is bool(started)
    assert not queue.waiting
