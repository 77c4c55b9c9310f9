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


def test_what_goes_on_is_not_said_to_have_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch_app, "start_queue", lambda folders: SimpleNamespace(pid=4711))
    profile = Profile.model_validate(
        {"run": {"dir": str(tmp_path)}, "data": {"root": "demo:hands"}, "model": {"name": "RN-tiny"}}
    )
    queue = RunQueue()
    for name, reason in (("old", "finished"), ("first", "stopped")):
        queue.begin_new("demo", profile)
        last: Any = reason
        state = fold(RunState(), RunFinished(0.0, last, "", 1, 1.0, folder=str(tmp_path / name)))
        queue.end(state)
    queue.add("demo", profile)
    launch_app._hand_over(state, queue)
    launch_app.see_to_the_queue(queue, lambda *_: pytest.fail("handed over"), goes_on=False, silent=False)
    out = capsys.readouterr().out
    assert "stopped" not in out and "handed-over" not in out
    assert out.count("detached  demo") == 2 and out.count("done      demo") == 1


def test_a_held_queue_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Path] = []

    def start(folder: Path) -> Any:
        begun.append(folder)
        return SimpleNamespace(pid=4711)

    monkeypatch.setattr(launch_app, "start", start)
    monkeypatch.setattr(launch_app, "start_queue", lambda folders: pytest.fail("the queue is held"))
    profile = Profile.model_validate(
        {"run": {"dir": str(tmp_path)}, "data": {"root": "demo:hands"}, "model": {"name": "RN-tiny"}}
    )
    queue = RunQueue([QueuedRun("x", profile), QueuedRun("y", profile)], held=True)
    state = fold(RunState(), RunFinished(0.0, "stopped", "", 1, 1.0, folder=str(tmp_path / "first")))
    launch_app._hand_over(state, queue)
    launch_app.see_to_the_queue(queue, lambda *_: pytest.fail("it is held"), goes_on=True, silent=True)
    assert begun == [tmp_path / "first"]
    assert [run.standing for run in queue.runs] == ["dropped", "dropped"]
    assert list(tmp_path.iterdir()) == []
