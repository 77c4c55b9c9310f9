"""Retrieval on a run's splits: embed every image once, rank, average over the splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from core.data.store import ImageStore, MemoryBudget
from core.dataset import Split
from core.errors import DataError
from core.metrics import Evaluation, evaluate


class EmbeddingsNotFiniteError(ArithmeticError):
    """The model gave an embedding that is NaN or infinite."""


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


class ValidationImages:
    """The images of all splits, each file once: Monte-Carlo splits share theirs, by hard link or by name.

    Args:
        splits: query and gallery of each.
        size: height, width in pixels.
        pool: the threads that decode.
        budget: memory that decoded images may take.
    """

    def __init__(
        self, splits: Sequence[Split], size: tuple[int, int], pool: ThreadPoolExecutor, budget: MemoryBudget
    ) -> None:
        self.splits = splits
        places: dict[tuple[int, int], int] = {}
        paths: list[Path] = []

        def place(path: Path) -> int:
            try:
                status = path.stat()
            except OSError as error:
                raise DataError("Image cannot be read", f"{path}: {error.strerror}") from error
            number = places.setdefault((status.st_dev, status.st_ino), len(paths))
            if number == len(paths):
                paths.append(path)
            return number

        self.places = [
            (
                torch.tensor([place(path) for path in split.query.paths]),
                torch.tensor([place(path) for path in split.gallery.paths]),
            )
            for split in splits
        ]
        self.store = ImageStore(paths, size, pool, budget)

    def __len__(self) -> int:
        return len(self.store)


def validate(
    backbone: nn.Module,
    images: ValidationImages,
    embed: Callable[[Tensor], Tensor],
    batch_size: int,
    tick: Callable[[int], bool],
) -> Retrieval | None:
    """Rank-1/5/10, mAP and mINP of the backbone as it is; afterwards it is in the mode it was in before.

    Args:
        backbone: set to evaluation mode while this runs.
        images: of query and gallery.
        embed: (B, H, W, 3) uint8 on the CPU to (B, D) fp32 embeddings on the device.
        batch_size: images embedded at once.
        tick: called with the images embedded so far after each batch; False gives up.

    Returns:
        The metrics, or None if `tick` gave up.

    Raises:
        DataError: no query of a split has a match.
        EmbeddingsNotFiniteError: an embedding is NaN or infinite.
    """
    training = backbone.training
    backbone.eval()
    parts: list[Tensor] = []
    done = 0
    try:
        order = np.split(np.arange(len(images)), range(batch_size, len(images), batch_size))
        for _, pixels in images.store.batches(order):
            with torch.inference_mode():
                parts.append(embed(pixels))
            done += len(pixels)
            if not tick(done):
                return None
    finally:
        backbone.train(training)
    embeddings = torch.cat(parts)
    if not bool(torch.isfinite(embeddings).all()):
        raise EmbeddingsNotFiniteError("the embeddings of the validation images are not finite")
    return _averaged(
        [
            _ranked(split, embeddings[query.to(embeddings.device)], embeddings[gallery.to(embeddings.device)])
            for split, (query, gallery) in zip(images.splits, images.places, strict=True)
        ]
    )


def _ranked(split: Split, query: Tensor, gallery: Tensor) -> Evaluation:
    labels = (split.query_ids, split.gallery_ids, split.query_cams, split.gallery_cams)
    result = evaluate(query, gallery, *(torch.from_numpy(part) for part in labels if part is not None))
    if not result.queries:
        raise DataError(
            "No query has a match",
            f"{split.name}: no identity is both in query and gallery (with cameras: seen by another camera)",
        )
    return result


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
