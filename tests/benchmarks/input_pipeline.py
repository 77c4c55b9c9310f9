"""Images a second from 1600x1200 JPEGs to fp32 batches of 224x224, against torchvision on as many threads.

`REID_BENCH_IMAGES` names a folder of JPEGs to measure on; else hands are drawn.
"""

from __future__ import annotations

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

IMAGES, BATCH, SIZE = 96, 32, (224, 224)
ROUNDS = 5
LATER = 20  # epochs at a time: one is over in a hundredth of a second
PEER = "torchvision ImageFolder + Resize + ToTensor, as many threads"


def rows() -> list[Row]:
    with ThreadPoolExecutor(decoding_threads()) as pool, _images() as (root, paths):
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
            later_took = median(seconds(lambda: [_read(store) for _ in range(LATER)]) / LATER for _ in range(ROUNDS))
        finally:
            store.close()
        size = sum(path.stat().st_size for path in paths) / len(paths) / 1000
        differences = [_difference(path) for path in paths]

    rates = [len(paths) / took for took in (theirs_took, first_took, later_took)]
    medians = [f"{rate:.0f} against {rates[0]:.0f} images/s, files of {size:.0f} kB" for rate in rates[1:]]
    what = "images/s, 1600x1200 JPEG to 224x224"
    return [
        Row(f"{what}, first epoch", PEER, rates[1] / rates[0], "x", 5, at_least=True, detail=medians[0]),
        Row(f"{what}, later epochs", PEER, rates[2] / rates[0], "x", 50, at_least=True, detail=medians[1]),
        Row("mean difference of an image, the largest", "decoding in full", max(differences), "/255", 1),
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
def _images() -> Iterator[tuple[Path, list[Path]]]:
    """A folder with one identity, and its images."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "images"
        (root / "one").mkdir(parents=True)
        if own := os.environ.get("REID_BENCH_IMAGES"):
            for number, path in enumerate(sorted(Path(own).rglob("*.jpg"))[:IMAGES]):
                (root / "one" / f"{number:03d}.jpg").write_bytes(path.read_bytes())
        else:
            for number in range(IMAGES):
                _draw(number).save(root / "one" / f"{number:03d}.jpg", quality=75)
        yield root, sorted(root.rglob("*.jpg"))


def _draw(number: int) -> Image.Image:
    """A hand of 1600x1200, with the grain of a camera that draws half as fine."""
    hand = make_hand(np.random.default_rng((0, number)))
    drawn = Image.fromarray(draw_hand(hand, np.random.default_rng((1, number)), 800))
    return drawn.resize((1600, 1600), Image.Resampling.BICUBIC).crop((0, 200, 1600, 1400))
