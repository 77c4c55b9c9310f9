"""Small data sets and runs for the tests; everything is made in temporary folders."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

# One thread is enough for tiny models, and keeps spinning threads from fighting over busy cores. Children inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The list of the runs of this machine is kept there.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="reid-state-")
# Resized images are kept there, and the synthetic hands.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="reid-cache-")

from core.control import RunControl
from core.events import Event, RunFinished, System
from core.profile import Profile
from core.run_state import RunState, fold


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--renew-snapshots", action="store_true", help="write tests/reid_tui/snapshots anew")


def pytest_sessionfinish() -> None:
    gc.unfreeze()  # the app freezes what torch has loaded; extension modules would report it as leaked at exit
    for home in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        shutil.rmtree(os.environ[home])


def draw_set(root: Path, train: dict[str, int], test: dict[str, int], size: tuple[int, int] = (40, 40)) -> Path:
    """A set of noisy colour fields, one hue per identity: `train` and `test` map identity to number of images."""
    rng = np.random.default_rng(0)
    for number, (name, images) in enumerate([*train.items(), *test.items()]):
        colour = np.random.default_rng(number).integers(30, 220, 3)
        for image in range(images):
            folder = "train" if number < len(train) else "gallery0" if image == 0 else "query0"
            path = root / folder / name / f"{name}_c{image % 2}_{image}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = (colour + rng.integers(-30, 30, (*size, 3))).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path)
    return root


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny") / "set"
    return draw_set(root, {f"t{n}": 5 for n in range(4)}, {f"v{n}": 3 for n in range(3)})


@dataclass
class Outcome:
    """What a finished run said and left."""

    events: list[Event]
    state: RunState
    finished: RunFinished

    @property
    def said(self) -> list[Event]:
        """What the run itself said; how the machine is comes at any time."""
        return [event for event in self.events if not isinstance(event, System)]

    @property
    def folder(self) -> Path:
        [folder] = {path.parents[1] for path in self.checkpoints.values()}
        return folder

    @property
    def checkpoints(self) -> dict[str, Path]:
        return {saved.kind: Path(saved.path) for saved in self.state.checkpoints}

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def tiny_profile(tiny_set: Path, tmp_path: Path) -> Callable[..., Profile]:
    """A profile that trains in a second: `tiny_profile(epochs=2, data={...})`; bare words go to [train]."""

    def make(data: dict[str, Any] | None = None, validate: dict[str, Any] | None = None, **train: Any) -> Profile:
        tables = {
            "run": {"name": "tiny", "dir": str(tmp_path / "runs"), "device": "cpu"},
            "data": {"root": str(tiny_set), "image_size": (32, 32), **(data or {})},
            "model": {"name": "RN-tiny"},
            "train": {"epochs": 2, "batch_size": 8, "lr": 1e-3, "early_stop_patience": 0, **train},
            "validate": validate or {},
        }
        return Profile.model_validate(tables)

    return make


Watcher = Callable[[Event, RunControl], None]


@pytest.fixture
def train() -> Callable[..., Outcome]:
    """Run a profile in this thread; `watch(event, control)` sees each event as it happens."""

    def run(profile: Profile, watch: Watcher | None = None) -> Outcome:
        from core.session import run_profile

        events: list[Event] = []
        control = RunControl()

        def listen(event: Event) -> None:
            events.append(event)
            if watch:
                watch(event, control)

        finished = run_profile(profile, listen, control)
        return Outcome(events, reduce(fold, events, RunState()), finished)

    return run


@pytest.fixture
def slow_device(monkeypatch):
    """As a busy GPU has it, numbers are on their way until somebody waits for them, or looks for the third time."""
    from core.fetched import Fetched

    class Slow(Fetched):
        looks = 0

        @property
        def is_here(self):
            self.looks += 1
            return self.looks > 2

    monkeypatch.setattr("core.step.Fetched", Slow)
