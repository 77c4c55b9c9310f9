"""Retrieval on a run's splits: embed every image once, rank, average over the splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.data.shelf import Shelves
from core.data.store import ImageStore
from core.data.unreadable import Unreadable
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
    left_out: int  # images that could not be read, and are in no ranking; a file that splits share counts once


class ValidationImages:
    """The images of all splits, each file once: Monte-Carlo splits share theirs, by hard link or by name.

    Args:
        splits: query and gallery of each.
        size: height, width in pixels.
        pool: the threads that decode.
        shelves: give the place to keep them.
        unreadable: told of each image that cannot be read; unless it raises, the image is left out.
    """

    def __init__(
        self,
        splits: Sequence[Split],
        size: tuple[int, int],
        pool: ThreadPoolExecutor,
        shelves: Shelves,
        unreadable: Unreadable,
    ) -> None:
        self.splits = splits
        places: dict[tuple[int, int] | Path, int] = {}
        paths: list[Path] = []

        def place(path: Path) -> int:
            file: tuple[int, int] | Path
            try:
                status = path.stat()
                file = status.st_dev, status.st_ino
            except OSError as error:
                unreadable(path, DataError("Image cannot be read", f"{path}: {error.strerror}"))
                file = path
            number = places.setdefault(file, len(paths))
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
        self.store = ImageStore(paths, size, pool, shelves, unreadable)

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
        tick: called with the images done so far, those left out among them, after each batch; False gives up.

    Returns:
        The metrics, or None if `tick` gave up.

    Raises:
        DataError: no query of a split has a match.
        EmbeddingsNotFiniteError: an embedding is NaN or infinite.
    """
    training = backbone.training
    backbone.eval()
    parts: list[Tensor] = []
    kept: list[NDArray[np.int64]] = []
    done = 0
    try:
        order = np.split(np.arange(len(images)), range(batch_size, len(images), batch_size))
        for wanted, (indices, pixels) in zip(order, images.store.batches(order), strict=True):
            if len(indices):
                with torch.inference_mode():
                    parts.append(embed(pixels))
                kept.append(indices)
            done += len(wanted)
            if not tick(done):
                return None
    finally:
        backbone.train(training)
    if not parts:
        raise DataError("No image could be read", f"all {len(images)} images of query and gallery are left out")
    embeddings = torch.cat(parts)
    if not bool(torch.isfinite(embeddings).all()):
        raise EmbeddingsNotFiniteError("the embeddings of the validation images are not finite")
    rows = torch.full((len(images),), -1)
    rows[torch.from_numpy(np.concatenate(kept))] = torch.arange(len(embeddings))
    results = [
        _ranked(split, embeddings, rows[query], rows[gallery])
        for split, (query, gallery) in zip(images.splits, images.places, strict=True)
    ]
    return _averaged(results, left_out=len(images) - len(embeddings))


def _ranked(split: Split, embeddings: Tensor, query: Tensor, gallery: Tensor) -> Evaluation:
    """Rank one split; `query` and `gallery` are rows of the embeddings, -1 for an image that is left out."""
    asked, offered = query >= 0, gallery >= 0
    labels = (
        (split.query_ids, asked),
        (split.gallery_ids, offered),
        (split.query_cams, asked),
        (split.gallery_cams, offered),
    )
    if asked.any() and offered.any():
        result = evaluate(
            embeddings[query[asked].to(embeddings.device)],
            embeddings[gallery[offered].to(embeddings.device)],
            *(torch.from_numpy(part)[kept] for part, kept in labels if part is not None),
        )
        if result.queries:
            return result
    problem = "no identity is both in query and gallery (with cameras: seen by another camera)"
    if lost := int((~asked).sum() + (~offered).sum()):
        problem += f"; {lost} of its {len(query) + len(gallery)} images are left out, as they could not be read"
    raise DataError("No query has a match", f"{split.name}: {problem}")


def _averaged(results: Sequence[Evaluation], left_out: int) -> Retrieval:
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
        left_out=left_out,
    )
