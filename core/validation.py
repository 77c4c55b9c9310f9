"""Retrieval on a run's splits: embed query and gallery, rank, average over the splits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from core.data.store import ImageStore
from core.dataset import Labels, Split
from core.errors import DataError
from core.metrics import Evaluation, evaluate


@dataclass(frozen=True)
class StoredSplit:
    """A split with its decoded images."""

    split: Split
    query: ImageStore
    gallery: ImageStore

    def __len__(self) -> int:
        return len(self.query) + len(self.gallery)


@dataclass(frozen=True)
class Retrieval:
    """Metrics averaged over the splits, in 0..1; queries are summed over them."""

    rank1: float
    rank5: float
    rank10: float
    mAP: float  # noqa: N815 - the field's own name
    mINP: float  # noqa: N815
    queries: int
    queries_without_match: int


def validate(
    backbone: nn.Module,
    splits: tuple[StoredSplit, ...],
    embed: Callable[[Tensor], Tensor],
    batch_size: int,
    tick: Callable[[int], bool],
) -> Retrieval | None:
    """Rank-1/5/10, mAP and mINP of the backbone as it is; afterwards it is in the mode it was in before.

    Args:
        backbone: set to evaluation mode while this runs.
        splits: query and gallery images.
        embed: (B, H, W, 3) uint8 on the CPU to (B, D) fp32 embeddings on the device.
        batch_size: images embedded at once.
        tick: called with the images embedded so far after each batch; False gives up.

    Returns:
        The metrics, or None if `tick` gave up.

    Raises:
        DataError: no query of a split has a match.
        ArithmeticError: an embedding is not finite.
    """
    training = backbone.training
    backbone.eval()
    done = 0
    results = []
    try:
        for stored in splits:
            embeddings = []
            for store in (stored.query, stored.gallery):
                parts = []
                for batch in _embedded(store, embed, batch_size):
                    parts.append(batch)
                    done += len(batch)
                    if not tick(done):
                        return None
                embeddings.append(torch.cat(parts))
            results.append(_ranked(stored.split, *embeddings))
    finally:
        backbone.train(training)
    return _averaged(results)


def _averaged(results: Sequence[Evaluation]) -> Retrieval:
    """Means over the splits; the queries are summed."""

    def mean(value: Callable[[Evaluation], float]) -> float:
        return float(np.mean([value(result) for result in results]))

    return Retrieval(
        rank1=mean(lambda result: result.rank(1)),
        rank5=mean(lambda result: result.rank(5)),
        rank10=mean(lambda result: result.rank(10)),
        mAP=mean(lambda result: result.mAP),
        mINP=mean(lambda result: result.mINP),
        queries=sum(result.queries for result in results),
        queries_without_match=sum(result.queries_without_match for result in results),
    )


def _embedded(store: ImageStore, embed: Callable[[Tensor], Tensor], batch_size: int) -> Iterator[Tensor]:
    order = np.split(np.arange(len(store)), range(batch_size, len(store), batch_size))
    with torch.inference_mode():
        for _, images in store.batches(order):
            yield embed(images)


def _ranked(split: Split, query: Tensor, gallery: Tensor) -> Evaluation:
    for name, embeddings in (("query", query), ("gallery", gallery)):
        if not bool(torch.isfinite(embeddings).all()):
            raise ArithmeticError(f"{name} embeddings of {split.name} are not finite")
    result = evaluate(
        query,
        gallery,
        _tensor(split.query_ids),
        _tensor(split.gallery_ids),
        None if split.query_cams is None else _tensor(split.query_cams),
        None if split.gallery_cams is None else _tensor(split.gallery_cams),
    )
    if not result.queries:
        raise DataError(
            "No query has a match",
            f"{split.name}: no identity is both in query and gallery (with cameras: seen by another camera)",
        )
    return result


def _tensor(labels: Labels) -> Tensor:
    return torch.from_numpy(labels)
