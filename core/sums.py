"""The numbers of training batches: losses, hits and norms, added up."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields

TRAIN_RANKS = (1, 5, 10)


@dataclass
class Sums:
    """Sums over images (losses, hits) and batches (gradient norm), of one batch or of many."""

    images: float = 0.0
    batches: float = 0.0
    loss: float = 0.0
    ce: float = 0.0
    triplet: float = 0.0
    hits1: float = 0.0
    hits5: float = 0.0
    hits10: float = 0.0
    grad_norm: float = 0.0

    def add(self, other: Sums) -> None:
        """Add one batch. Batch by batch, so that a sum does not depend on when the device was read."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))

    @classmethod
    def over(cls, batches: Iterable[Sums]) -> Sums:
        total = cls()
        for batch in batches:
            total.add(batch)
        return total

    def per_image(self, name: str) -> float:
        return float(getattr(self, name)) / self.images if self.images else math.nan

    def per_batch(self, name: str) -> float:
        return float(getattr(self, name)) / self.batches if self.batches else math.nan
