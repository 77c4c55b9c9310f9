"""Run folders as a run leaves them, made in a moment and without training."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import toml

from core.events import EndReason, EpochFinished, EpochMetrics, RunFinished
from core.recorder import Recorder
from core.run_fields import RunRow
from core.run_summary import RunSummary, Standing

NOW = 1_790_000_000.0


def make_run(
    parent: Path,
    name: str,
    ranks: Sequence[float] = (0.2, 0.5, 0.7),
    *,
    began: float = NOW,
    reason: EndReason | None = "finished",
    checkpoint: int = 1000,
    **tables: dict[str, Any],
) -> Path:
    """A run folder; `ranks` from the baseline on, `reason` None: it has said no last word, `checkpoint` in bytes."""
    folder = parent / name
    (folder / "checkpoints").mkdir(parents=True)
    profile: dict[str, dict[str, Any]] = {
        "run": {"name": "hands"},
        "data": {"dataset": "11k-hands", "aspect": "dorsal-right"},
        "model": {"name": "RN50"},
        "train": {"epochs": 12, "lr": 1e-3, "batch_size": 32},
    }
    for table, values in tables.items():
        profile[table] = {**profile.get(table, {}), **values}
    (folder / "profile.toml").write_text(toml.dumps(profile))
    os.utime(folder / "profile.toml", (began, began))
    (folder / ".lock").touch()
    (folder / "checkpoints" / f"{name[:20]}_BEST.pth").write_bytes(bytes(checkpoint))
    recorder = Recorder(folder)
    for epoch, rank in enumerate(ranks):
        recorder(EpochFinished(began + 10 * epoch, metrics(epoch, rank)))
    if reason is not None:
        end = began + 10 * len(ranks)
        recorder(RunFinished(end, reason, "all is done", len(ranks) - 1, end - began, folder=str(folder)))
    recorder.close()
    return folder


def metrics(epoch: int, rank: float) -> EpochMetrics:
    return EpochMetrics(
        epoch,
        loss=5 / epoch if epoch else math.nan,
        rank1=rank,
        rank5=min(rank + 0.1, 1.0),
        rank10=min(rank + 0.15, 1.0),
        mAP=rank - 0.05,
        mINP=rank - 0.1,
        lr=1e-3 if epoch else math.nan,
        seconds=10.0,
    )


def run_row(name: str = "run", standing: Standing = "finished", size: int = 0, **values: Any) -> RunRow:
    """A run in a list, without a folder."""
    return RunRow(RunSummary(Path("/runs") / name, standing, **values), size)
