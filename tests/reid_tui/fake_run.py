"""A run that trains nothing: it says what a real one would, and does what its control asks for."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.control import RunControl
from core.events import (
    Alert,
    CheckpointSaved,
    EpochFinished,
    EpochMetrics,
    Event,
    LogLine,
    Patience,
    Paused,
    Progress,
    RunFinished,
    RunStarted,
)

FOLDER = "/data/runs/hands-vitb16-20261123-141500"


@dataclass
class FakeRun:
    """`pace`: seconds of a batch. `hook` is called in every batch with (epoch, batch), in the run's thread."""

    epochs: int = 3
    batches: int = 4
    pace: float = 0.001
    patience: int = 3
    peak: int = 1000  # epoch after which Rank-1 falls
    hook: Callable[[int, int], None] = lambda epoch, batch: None
    folder: str = FOLDER
    name: str = "hands-vitb16-20261123-141500"
    validated_on: str = "query0/gallery0 (test split)"

    def __call__(self, emit: Callable[[Event], None], control: RunControl) -> None:
        self._emit, self._control = emit, control
        self._random = random.Random(0)
        self._began = time.time()
        self._saved: list[str] = []
        emit(LogLine(time.time(), "info", "reading 502 images of 502 identities"))
        for done in (0, 250, 502):
            emit(Progress(time.time(), "prepare", 0, done, 502, images_per_second=900.0))
            time.sleep(self.pace)
        emit(
            RunStarted(
                time.time(), self.name, "hands", self.folder, "ViT-B-16", "openai", "11k-hands", "dorsal-right",
                (224, 224), "cuda:0 (NVIDIA H100 80GB HBM3)", "bf16", self.epochs, 32, self.batches, 72, 957, 963, 71,
                self.patience, self.validated_on, {},
            )
        )  # fmt: skip
        best, best_epoch, reason, message = 0.0, 0, "finished", f"all {self.epochs} epochs are done"
        emit(EpochFinished(time.time(), self._metrics(0)))
        epoch = 0
        for epoch in range(1, self.epochs + 1):
            if not self._train(epoch):
                reason, message, epoch = "stopped", control.reason, epoch - 1
                break
            metrics = self._metrics(epoch)
            emit(EpochFinished(time.time(), metrics))
            if metrics.rank1 > best:
                best, best_epoch = metrics.rank1, epoch
                self._save("BEST", epoch)
            emit(Patience(time.time(), best_epoch, best, epoch - best_epoch, self.patience))
            if self.patience and epoch - best_epoch >= self.patience:
                reason, message = "early-stop", f"no better Rank-1 for {self.patience} epochs"
                break
            if control.stopping_after_epoch:
                reason, message = "stopped", control.reason
                break
        self._save("FINAL", epoch)
        seconds = time.time() - self._began
        emit(RunFinished(time.time(), reason, message, epoch, seconds, tuple(self._saved)))  # type: ignore[arg-type]

    def _train(self, epoch: int) -> bool:
        """False if the run was told to stop."""
        control = self._control
        for batch in range(1, self.batches + 1):
            if control.paused:
                self._emit(Paused(time.time(), True))
                while control.paused and not control.stopping_after_batch:
                    control.wait_while_paused()
                    if control.take_checkpoint():
                        self._asked_for(epoch)
                self._emit(Paused(time.time(), False))
            if control.take_checkpoint():
                self._asked_for(epoch)
            if control.stopping_after_batch:
                return False
            self.hook(epoch, batch)
            time.sleep(self.pace)
            x = epoch - 1 + batch / self.batches
            noise = self._random.gauss(0, 0.06)
            ce, triplet = 4.2 * math.exp(-x / 6) + 0.25 + noise, max(0.42 * math.exp(-x / 9) + noise / 3, 0.0)
            self._emit(
                Progress(time.time(), "train", epoch, batch, self.batches, 412 + 30 * noise, ce + triplet, ce, triplet,
                         2.0, 1e-5)
            )  # fmt: skip
        for done in (400, 963):
            time.sleep(self.pace)
            self._emit(Progress(time.time(), "validate", epoch, done, 963, images_per_second=1530.0))
        if epoch == 2:
            self._emit(Alert(time.time(), "warning", "Few positives", "9 of 72 identities have one image [only]"))
        return True

    def _metrics(self, epoch: int) -> EpochMetrics:
        gain = 1 - math.exp(-min(epoch, 2 * self.peak - epoch) / 5)
        rank1 = 0.382 + 0.47 * gain + (self._random.gauss(0, 0.008) if epoch else 0)
        common: dict[str, Any] = {
            "rank1": rank1,
            "rank5": min(rank1 + 0.16, 0.99),
            "rank10": min(rank1 + 0.21, 1.0),
            "mAP": rank1 - 0.061,
            "mINP": rank1 - 0.2,
            "queries": 963,
        }
        if not epoch:
            return EpochMetrics(0, **common, seconds=1.2)
        ce, triplet = 4.2 * math.exp(-epoch / 6) + 0.25, 0.42 * math.exp(-epoch / 9)
        return EpochMetrics(
            epoch, ce + triplet, ce, triplet, 1 - math.exp(-epoch / 4), 0.97, 0.99, **common,
            lr=1e-5, classifier_lr=1e-6, grad_norm=2.1, images_per_second=412 + self._random.gauss(0, 6), seconds=14.2,
        )  # fmt: skip

    def _asked_for(self, epoch: int) -> None:
        self._emit(LogLine(time.time(), "info", f"checkpoint asked for in epoch {epoch}"))
        self._save("LAST", epoch)

    def _save(self, kind: str, epoch: int) -> None:
        path = f"{self.folder}/checkpoints/hands_ViT-B-16_{kind}.pth"
        if path not in self._saved:
            self._saved.append(path)
        self._emit(CheckpointSaved(time.time(), kind, path, epoch))  # type: ignore[arg-type]
