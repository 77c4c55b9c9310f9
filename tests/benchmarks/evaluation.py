"""`core.metrics.evaluate` on sets of the size of Market-1501 and MSMT17, against the bare product and torchreid."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import torch
from torch import Tensor
from torch.nn import functional as F

from core.metrics import evaluate
from tests.benchmarks.row import Row, alternately

ROUNDS = 5
DIMENSION = 512
PEER = "torchreid's Cython evaluate_cy"


@dataclass(frozen=True)
class Features:
    """Embeddings that lie about the middles of their identities, in the numbers of a data set."""

    query: Tensor
    gallery: Tensor
    query_ids: Tensor
    gallery_ids: Tensor
    query_cams: Tensor
    gallery_cams: Tensor

    def evaluate(self) -> object:
        return evaluate(self.query, self.gallery, self.query_ids, self.gallery_ids, self.query_cams, self.gallery_cams)

    def product(self) -> object:
        return self.query @ self.gallery.T

    def without_distractors(self) -> Features:
        """The same matches in half of the gallery."""
        half = len(self.gallery) // 2
        return Features(
            self.query,
            self.gallery[:half],
            self.query_ids,
            self.gallery_ids[:half],
            self.query_cams,
            self.gallery_cams[:half],
        )


def features(queries: int, gallery: int, identities: int, cameras: int) -> Features:
    """Drawn with a seed; the second half of the gallery are distractors, of as many other identities."""
    draw = torch.Generator().manual_seed(0)
    middles = torch.randn(2 * identities, DIMENSION, generator=draw)

    def of(ids: Tensor) -> Tensor:
        return F.normalize(middles[ids] + 2.5 * torch.randn(len(ids), DIMENSION, generator=draw), dim=1)

    query_ids = torch.arange(queries) % identities
    gallery_ids = torch.randint(identities, (gallery,), generator=draw)
    gallery_ids[gallery // 2 :] += identities
    cams = [torch.randint(cameras, (n,), generator=draw) for n in (queries, gallery)]
    return Features(of(query_ids), of(gallery_ids), query_ids, gallery_ids, *cams)


def rows() -> list[Row]:
    market = features(3_368, 19_732, 750, 6)
    product, ours = alternately([market.product, market.evaluate], ROUNDS)
    size = "evaluation, 3,368 x 19,732 x 512, with cameras"
    medians = f"{ours:.2f} s against {product:.2f} s"
    return [
        Row(size, "the bare similarity matrix product", ours / product, "x its time", 2, detail=medians),
        *_against_torchreid(size, market),
        *_msmt17(),
    ]


def _against_torchreid(size: str, market: Features) -> list[Row]:
    try:
        from torchreid.metrics.rank_cylib.rank_cy import evaluate_cy
    except ImportError as error:
        return [Row(size, PEER, None, "x faster", 6, at_least=True, detail=f"skipped: {error}")]
    labels = (market.query_ids, market.gallery_ids, market.query_cams, market.gallery_cams)

    def peer() -> object:
        return evaluate_cy((1 - market.query @ market.gallery.T).numpy(), *(part.numpy() for part in labels), 50)

    theirs, ours = alternately([peer, market.evaluate], 3)
    cmc, mean_average_precision = peer()
    result = evaluate(market.query, market.gallery, *labels)
    apart = max(float((torch.from_numpy(cmc) - result.cmc).abs().max()), abs(mean_average_precision - result.mAP))
    medians = f"{ours:.2f} s against {theirs:.2f} s"
    return [
        Row(size, PEER, theirs / ours, "x faster", 6, at_least=True, detail=medians),
        Row("CMC and mAP of both", PEER, apart, "apart", 1e-6, detail="it averages in fp32"),
    ]


def _msmt17() -> list[Row]:
    size = "evaluation, 11,659 x 82,161 x 512"
    large = features(11_659, 82_161, 3_060, 15)
    half = large.without_distractors()
    memory = _peak(large.evaluate)
    halves, took = alternately([half.evaluate, large.evaluate], 5)
    return [
        Row(size, "memory before it", memory / 2**20, "MiB more at the peak", 1024),
        Row(
            size,
            "twice the time without distractors",
            took / (2 * halves),
            "x",
            1.1,
            detail=f"{took:.1f} s, and {halves:.1f} s for half the gallery",
        ),
    ]


def _peak(call: Callable[[], object]) -> int:
    """Bytes of resident memory that a call takes at its peak, looked at every 5 ms."""
    process = psutil.Process()
    before = highest = process.memory_info().rss
    done = threading.Event()

    def look() -> None:
        nonlocal highest
        while not done.wait(0.005):
            highest = max(highest, process.memory_info().rss)

    looker = threading.Thread(target=look)
    looker.start()
    try:
        call()
    finally:
        done.set()
        looker.join()
    return highest - before
