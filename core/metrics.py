"""Retrieval metrics of re-identification: CMC (Rank-k), mAP and mINP, exact, in blocks.

The position of a true match is one more than the number of items ranked before it, so it is found by counting: the
wrong items that score at least as high, and the better matches. Only the matches of a query are sorted, and a whole row
only where it has very many of them. Memory is one block, whatever the number of queries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK_ELEMENTS = 1 << 26  # similarities held at once: 256 MB in fp32. Products of few rows pack the gallery too often
_ALIGNED = 16  # columns of a block: rows that begin on a cache line are written a quarter faster
# Rows that a block may have at the least. For very few, libraries have other kernels, whose sums round otherwise: with
# blocks of one length, of more than half as many rows, the CPU gives the same results whatever the block.
_LEAST_ROWS = 32
_ROWS_ON_A_DEVICE = 256  # of every product there, whatever the block: its libraries choose the kernel by their number
_OF_A_MATCH = 10  # what is kept of a match (scores, places, masks), in similarities
_MANY = 32  # matches of a query from which on to sort its row takes less time than to go through it for each of them


@dataclass(frozen=True)
class Evaluation:
    """Metrics over the queries that have a match, all in 0..1; NaN where no query has one.

    Attributes:
        cmc: (K,) float64; `cmc[k - 1]` is Rank-k, the share of queries with a match among the first k items.
        mAP: mean average precision, not interpolated (Zheng et al., ICCV 2015).
        mINP: mean inverse negative penalty: matches / position of the last match (Ye et al., TPAMI 2021, eq. 14).
        queries: queries that have a match.
        queries_without_match: queries that have none, left out of every average.
    """

    cmc: Tensor
    mAP: float  # noqa: N815 - the field's own name
    mINP: float  # noqa: N815
    queries: int
    queries_without_match: int

    def rank(self, k: int) -> float:
        """Rank-k. Where k exceeds the gallery, every item has been looked at: the last value stands."""
        return float(self.cmc[min(k, len(self.cmc)) - 1])


@torch.no_grad()
def evaluate(
    query: Tensor,
    gallery: Tensor,
    query_ids: Tensor,
    gallery_ids: Tensor,
    query_cams: Tensor | None = None,
    gallery_cams: Tensor | None = None,
    *,
    max_rank: int = 50,
    block_elements: int = BLOCK_ELEMENTS,
) -> Evaluation:
    """Rank the gallery for each query by cosine similarity, and score the ranking.

    Ties are broken against the model: of equal scores, a wrong item ranks before a match. A gallery item of the same
    identity and the same camera as the query is junk: it is neither a match nor wrong (Zheng et al., ICCV 2015).

    Args:
        query: (Q, D) embeddings of any float type; they are normalised here, in fp32.
        gallery: (G, D) embeddings.
        query_ids: (Q,) integer identities.
        gallery_ids: (G,) integer identities, in the numbering of `query_ids`.
        query_cams: (Q,) integer cameras, or None where cameras are not known.
        gallery_cams: (G,) integer cameras; with `query_cams` or not at all.
        max_rank: length K of the CMC curve (the gallery's size where that is smaller).
        block_elements: similarities that are held at once. Results do not depend on it.

    Raises:
        ValueError: shapes do not fit each other, a set is empty, or an embedding is not finite.
    """
    _check(query, gallery, query_ids, gallery_ids, query_cams, gallery_cams)
    device = query.device
    by_id = torch.argsort(gallery_ids.to(device), stable=True)
    ids = gallery_ids.to(device)[by_id]
    cams = None if gallery_cams is None else gallery_cams.to(device)[by_id]
    # Sorted by identity, the same-identity items of a query are one run of columns: [low, high).
    # Spare columns, one at the least, take the writes of queries with fewer same-identity items than others.
    spare = _ALIGNED - len(gallery) % _ALIGNED
    columns = F.pad(F.normalize(gallery.to(device).float(), dim=1)[by_id], (0, 0, 0, spare)).T
    rows = F.normalize(query.float(), dim=1)
    low = torch.searchsorted(ids, query_ids.to(device), right=False)
    high = torch.searchsorted(ids, query_ids.to(device), right=True)

    first: list[Tensor] = []
    precision: list[Tensor] = []
    penalty: list[Tensor] = []
    row = len(gallery) + _OF_A_MATCH * int((high - low).max())
    at_a_time = _rows_at_a_time(device)
    blocks = -(-len(query) // max(at_a_time or _LEAST_ROWS, block_elements // row))
    block = -(-len(query) // blocks)
    if at_a_time:  # the last block is as long as the others, and so are the pieces
        block = min(-(-block // at_a_time) * at_a_time, len(query))
    piece = min(at_a_time or block, block)
    similarity = torch.empty((block, columns.shape[1]), device=device)
    for start in range(0, len(query), block):
        part = slice(start, start + block)
        junk_cam = None if query_cams is None else query_cams.to(device)[part]
        end = min(start + block, len(query))
        # The last block is as long as the others, and begins with rows that are done; so does the last piece of one.
        for top in (*range(0, block - piece, piece), block - piece):
            first_row = end - block + top
            torch.mm(rows[first_row : first_row + piece], columns, out=similarity[top : top + piece])
        ranked = _positions(similarity[start - end :], len(gallery), low[part], high[part], cams, junk_cam)
        # Averages in fp64, on the CPU: there are few matches, and not every device has fp64.
        positions, matched = ranked[0].cpu().double(), ranked[1].cpu()
        count = matched.sum(1)
        has_match = count > 0
        nth = torch.arange(1, positions.shape[1] + 1, dtype=torch.float64)
        average = torch.where(matched, nth / positions, 0.0).sum(1) / count
        last = positions.gather(1, (count - 1).clamp(min=0).unsqueeze(1)).squeeze(1)
        first.append(positions[:, 0][has_match])
        precision.append(average[has_match])
        penalty.append((count / last)[has_match])

    firsts = torch.cat(first).long()
    queries = len(firsts)
    length = min(max_rank, len(gallery))
    hits = torch.bincount(firsts[firsts <= length] - 1, minlength=length).double().cumsum(0)
    return Evaluation(
        cmc=hits / queries if queries else torch.full_like(hits, torch.nan),
        mAP=float(torch.cat(precision).mean()),
        mINP=float(torch.cat(penalty).mean()),
        queries=queries,
        queries_without_match=len(query) - queries,
    )


def _rows_at_a_time(device: torch.device) -> int | None:
    """Of a product; None: all of a block, which the CPU is fastest with."""
    return None if device.type == "cpu" else _ROWS_ON_A_DEVICE


def _positions(
    similarity: Tensor,
    gallery: int,
    low: Tensor,
    high: Tensor,
    gallery_cams: Tensor | None,
    query_cams: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Positions (from 1) of the matches of each query, best match first.

    Args:
        similarity: (B, G + spare) block, columns sorted by identity; overwritten.
        gallery: G.
        low, high: (B,) columns [low, high) have the query's identity.

    Returns:
        (B, M) int64 positions and a (B, M) mask of those that are real; M is at least 1.
    """
    width = max(int((high - low).max()), 1)
    index = low.unsqueeze(1) + torch.arange(width, device=similarity.device)
    same = index < high.unsqueeze(1)
    matched = same
    if gallery_cams is not None and query_cams is not None:
        matched = same & (gallery_cams[index.clamp(max=len(gallery_cams) - 1)] != query_cams.unsqueeze(1))
    index = torch.where(same, index, gallery)
    scores = torch.where(matched, similarity.gather(1, index), -torch.inf)
    # What is left in the block afterwards are wrong items alone: matches and junk can't rank before anything.
    similarity[:, gallery:] = -torch.inf
    similarity.scatter_(1, index, -torch.inf)
    best_first, order = scores.sort(dim=1, descending=True)
    matched = matched.gather(1, order)
    nth = torch.arange(1, width + 1, device=similarity.device)
    return _at_least(similarity, best_first, matched) + nth, matched


def _at_least(similarity: Tensor, scores: Tensor, wanted: Tensor) -> Tensor:
    """How many items of a row score at least as high as each of the row's (B, M) scores; (B, M) int64.

    A match is a comparison with the whole row. Of few, that is less work than any search takes: the comparisons run
    over memory in order, and on the CPU a row stays in the processor's cache.
    """
    if similarity.device.type == "cpu":
        return _at_least_on_cpu(similarity, scores, wanted)
    return _at_least_on_device(similarity, scores)


def _at_least_on_cpu(similarity: Tensor, scores: Tensor, wanted: Tensor) -> Tensor:
    counts = np.zeros(scores.shape, np.int64)
    for row, bounds, mask, found in zip(similarity.numpy(), scores.numpy(), wanted.numpy(), counts, strict=True):
        here = np.flatnonzero(mask)
        if len(here) > _MANY:
            found[here] = len(row) - np.searchsorted(np.sort(row), bounds[here])
        else:
            for m in here.tolist():
                found[m] = np.count_nonzero(row >= bounds[m])
    return torch.from_numpy(counts)


def _at_least_on_device(similarity: Tensor, scores: Tensor) -> Tensor:
    if scores.shape[1] <= _MANY:
        return torch.stack([(similarity >= scores[:, m : m + 1]).sum(1) for m in range(scores.shape[1])], dim=1)
    parts = zip(similarity.tensor_split(8), scores.tensor_split(8), strict=True)  # sorting takes memory of its own
    return torch.cat([rows.shape[1] - torch.searchsorted(rows.sort(dim=1).values, bounds) for rows, bounds in parts])


def _check(
    query: Tensor,
    gallery: Tensor,
    query_ids: Tensor,
    gallery_ids: Tensor,
    query_cams: Tensor | None,
    gallery_cams: Tensor | None,
) -> None:
    if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
        raise ValueError(f"embeddings must be (Q, D) and (G, D), not {tuple(query.shape)} and {tuple(gallery.shape)}")
    if not len(query) or not len(gallery):
        raise ValueError("query and gallery must not be empty")
    if (query_cams is None) != (gallery_cams is None):
        raise ValueError("cameras must be given for both query and gallery, or for neither")
    labels = {"query_ids": (query_ids, query), "gallery_ids": (gallery_ids, gallery)}
    if query_cams is not None and gallery_cams is not None:
        labels |= {"query_cams": (query_cams, query), "gallery_cams": (gallery_cams, gallery)}
    for name, (values, embeddings) in labels.items():
        if values.shape != (len(embeddings),) or values.is_floating_point():
            raise ValueError(f"{name} must be ({len(embeddings)},) integers, not {tuple(values.shape)} {values.dtype}")
    for name, embeddings in (("query", query), ("gallery", gallery)):
        if embeddings.numel() and not bool(torch.isfinite(torch.stack(torch.aminmax(embeddings))).all()):
            raise ValueError(f"{name} has embeddings that are not finite")
