"""How far a run is: the epochs that are done, the batches of the one in hand, and what it takes to go on from there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from core.dataset import train_names
from core.events import EpochMetrics, Patience, best_epoch
from core.parts import Parts
from core.sums import Sums
from core.validation import Retrieval


@dataclass
class Position:
    """How far the epoch in hand is: batches done, their sums, the seconds that they took, and the training images that
    they had to do without."""

    batch: int = 0
    sums: Sums = field(default_factory=Sums)
    seconds: float = 0.0
    left_out: set[int] = field(default_factory=set)


@dataclass
class TrainingState:
    """How far a run is.

    Attributes:
        patience: epochs without a better Rank-1 that end the run; 0: none do.
        history: the baseline, and each epoch that is done.
        position: in the epoch in hand.
    """

    patience: int
    history: list[EpochMetrics] = field(default_factory=list)
    position: Position = field(default_factory=Position)

    @property
    def epochs_done(self) -> int:
        return self.history[-1].epoch if self.history else 0

    @property
    def last(self) -> EpochMetrics:
        """The last epoch that is done; before any, one without numbers."""
        return self.history[-1] if self.history else EpochMetrics(0)

    @property
    def best(self) -> EpochMetrics | None:
        """The epoch with the best Rank-1.

        The baseline does not compete: BEST is a fine-tuned model, and patience starts with the first epoch.
        """
        return best_epoch(self.history)

    @property
    def out_of_patience(self) -> bool:
        """Whether the last epoch was validated, and none since the best for as long as patience lasts was better."""
        best = self.best
        return bool(self.patience and self.last.queries and best and self.epochs_done - best.epoch >= self.patience)

    def early_stopping(self) -> Patience | None:
        """How early stopping stands; None before there is a best epoch."""
        if (best := self.best) is None:
            return None
        return Patience(
            time.time(),
            best_epoch=best.epoch,
            best_rank1=best.rank1,
            epochs_since_best=self.epochs_done - best.epoch,
            patience=self.patience,
        )

    def baseline_metrics(self, parts: Parts, retrieval: Retrieval, seconds: float) -> EpochMetrics:
        """The metrics of a model that was not trained yet."""
        return EpochMetrics(0, **vars(retrieval), split=parts.data.split, seconds=seconds)

    def epoch_metrics(self, parts: Parts, retrieval: Retrieval | None, seconds: float) -> EpochMetrics:
        """The metrics of the epoch in hand, which is trained, and validated where there is a `retrieval`."""
        sums = self.position.sums
        validated = {**vars(retrieval), "split": parts.data.split} if retrieval else {"left_out": 0}
        validated["left_out"] += len(self.position.left_out)
        return EpochMetrics(
            epoch=self.epochs_done + 1,
            loss=sums.per_image("loss"),
            ce=sums.per_image("ce"),
            triplet=sums.per_image("triplet"),
            train_rank1=sums.per_image("hits1"),
            train_rank5=sums.per_image("hits5"),
            train_rank10=sums.per_image("hits10"),
            lr=parts.step.lr,
            classifier_lr=parts.step.classifier_lr,
            grad_norm=sums.per_batch("grad_norm"),
            images_per_second=sums.images / max(self.position.seconds, 1e-9),
            seconds=seconds,
            **validated,
        )

    def resume_state(self, parts: Parts) -> dict[str, object]:
        """What `restore` takes, with the optimizer and the random generators, as tensors and plain values."""
        return {
            "step": parts.step.state_dict(),
            "history": [dict(vars(row)) for row in self.history],
            "batch": self.position.batch,
            "sums": dict(vars(self.position.sums)),
            "seconds": self.position.seconds,
            "left_out": sorted(self.position.left_out),
            "train_images": train_names(parts.data),
            "rng": torch.get_rng_state(),
            "cuda_rng": [torch.cuda.get_rng_state(parts.device)] if parts.device.type == "cuda" else [],
        }

    def restore(self, state: Mapping[str, Any], parts: Parts) -> None:
        """Go back to where a LAST was saved: optimizer, history, position, random generators."""
        parts.step.load_state_dict(state["step"])
        self.history = [EpochMetrics(**row) for row in state["history"]]
        left_out = set(state.get("left_out", ()))  # older files have none
        self.position = Position(state["batch"], Sums(**state["sums"]), state["seconds"], left_out)
        torch.set_rng_state(state["rng"])
        if parts.device.type == "cuda" and state["cuda_rng"]:  # of one device, whichever it was
            torch.cuda.set_rng_state(state["cuda_rng"][0], parts.device)
