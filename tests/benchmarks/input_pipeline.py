"""Images a second from 1600x1200 JPEGs to fp32 batches of 224x224, against torchvision on as many threads.

How much a first epoch gains depends on the bytes of a file: their entropy code takes its time at any scale. Two sizes
are drawn: that of 11k Hands (a Hands.zip of 663 MB for 11,076 images), and that of photographs with the grain of a
camera. `REID_BENCH_IMAGES` names a folder of JPEGs to measure on instead.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, Resize, ToTensor

from core.data.demo_hands import draw_hand, make_hand
from core.data.images import read_image
from core.data.on_device import to_images
from core.data.shelf import Shelves
from core.data.store import ImageStore, decoding_threads
from tests.benchmarks.row import Row, alternately, seconds

IMAGES, BATCH, SIZE = 256, 32, (224, 224)
ROUNDS = 5
LATER = 10  # epochs at a time: one is over in a hundredth of a second
PEER = "torchvision ImageFolder + Resize + ToTensor, as many threads"
DRAWN = {"as large as 11k Hands": (100, 60), "with grain": (800, 75)}  # pixels before they are scaled up, JPEG quality


def rows() -> list[Row]:
    if own := os.environ.get("REID_BENCH_IMAGES"):
        return _rows("of your own", [path.read_bytes() for path in sorted(Path(own).rglob("*.jpg"))[:IMAGES]])
    return [
        row
        for kind, (pixels, quality) in DRAWN.items()
        for row in _rows(kind, [_drawn(number, pixels, quality) for number in range(IMAGES)])
    ]


def _rows(kind: str, files: list[bytes]) -> list[Row]:
    with ThreadPoolExecutor(decoding_threads()) as pool, _folder(files) as (root, paths):
        torch.set_num_threads(1)  # the conversion of a batch shares the cores with the pool
        dataset = ImageFolder(root, Compose([Resize(SIZE), ToTensor()]))
        first_epochs = iter(range(ROUNDS))

        def theirs() -> None:
            for start in range(0, len(dataset), BATCH):
                torch.stack([image for image, _ in pool.map(dataset.__getitem__, _numbers(start, len(dataset)))])

        def first() -> None:
            os.environ["XDG_CACHE_HOME"] = str(root.parent / f"cache{next(first_epochs)}")  # nothing is there yet
            _epoch(paths, pool)

        theirs_took, first_took = alternately([theirs, first], ROUNDS)
        store = ImageStore(paths, SIZE, pool, Shelves(10**10))
        try:
            _read(store)
            torch.set_num_threads(decoding_threads())  # nothing is decoded any more
            later_took = median(seconds(lambda: [_read(store) for _ in range(LATER)]) / LATER for _ in range(ROUNDS))
        finally:
            store.close()
        size = sum(path.stat().st_size for path in paths) / len(paths) / 1000
        differences = [_difference(path) for path in paths]

    rates = [len(paths) / took for took in (theirs_took, first_took, later_took)]
    medians = [f"{rate:.0f} against {rates[0]:.0f} images/s" for rate in rates[1:]]
    files_are = f"files {kind}: {size:.0f} kB"
    what = "images/s, 1600x1200 JPEG to 224x224"
    return [
        Row(f"{what}, first epoch, {files_are}", PEER, rates[1] / rates[0], "x", 5, at_least=True, detail=medians[0]),
        Row(f"{what}, later epochs, {files_are}", PEER, rates[2] / rates[0], "x", 50, at_least=True, detail=medians[1]),
        Row(f"mean difference of an image, the largest, {files_are}", "decoding in full", max(differences), "/255", 1),
    ]


def _epoch(paths: list[Path], pool: ThreadPoolExecutor) -> None:
    store = ImageStore(paths, SIZE, pool, Shelves(10**10))
    try:
        _read(store)
    finally:
        store.close()


def _read(store: ImageStore) -> None:
    order = np.array_split(np.arange(len(store)), len(store) // BATCH)
    for _, pixels in store.batches(order):
        batch: Tensor = to_images(pixels, None, None)
        del batch


def _numbers(start: int, end: int) -> range:
    return range(start, min(start + BATCH, end))


def _difference(path: Path) -> float:
    return float(np.abs(read_image(path, SIZE).astype(int) - read_image(path, SIZE, exact=True)).mean())


@contextmanager
def _folder(files: list[bytes]) -> Iterator[tuple[Path, list[Path]]]:
    """A folder with one identity, and its images."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "images"
        (root / "one").mkdir(parents=True)
        for number, content in enumerate(files):
            (root / "one" / f"{number:03d}.jpg").write_bytes(content)
        yield root, sorted(root.rglob("*.jpg"))


def _drawn(number: int, pixels: int, quality: int) -> bytes:
    """A JPEG of a hand, 1600x1200, drawn at `pixels` and scaled up: the fewer, the less detail, and the fewer bytes."""
    hand = make_hand(np.random.default_rng((0, number)))
    drawn = Image.fromarray(draw_hand(hand, np.random.default_rng((1, number)), pixels))
    file = io.BytesIO()
    drawn.resize((1600, 1600), Image.Resampling.BICUBIC).crop((0, 200, 1600, 1400)).save(file, "JPEG", quality=quality)
    return file.getvalue()
