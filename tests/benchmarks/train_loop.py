"""Training speed of the program against a bare loop.

Both train the same model on the same images, alternately, a stretch of batches each, in one process:

* the bare loop has its images in memory, converted and normalised, and does what no training can do without: forward,
  cross-entropy and batch-hard triplet loss, backward, one clip of the gradient norm, fused Adam;
* the program is the trainer's own loop without a screen, `Trainer.train_epoch`: batches gathered from the shelf,
  conversion and normalisation, the step with its counts of hits and its flags, a look at the device and an event four
  times a second, a look at the control in each batch.

No checkpoint is saved and nothing is validated. The device is waited for at the end of each stretch. What is reported
is the median of each over the stretches, so that a moment in which the machine was busy does not count, and the median
of the ratios of neighbours.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from core.data.on_device import to_images
from core.devices import products
from core.losses import batch_hard_triplet
from core.model import build_model
from core.profile import Profile
from core.trainer import Trainer
from core.training_state import Position
from tests.benchmarks.row import Row

IDENTITIES = 8


@dataclass(frozen=True)
class Rates:
    """Training images per second, and the program's speed as a share of the bare loop's.

    Attributes:
        waited: share of the program's time that it waited for images, in 0..1.
        memory: most bytes of a CUDA device that the program had taken at once; 0 on others.
    """

    bare: float
    ours: float
    ratio: float
    waited: float
    memory: int


def compare(
    model: str = "RN-tiny",
    size: tuple[int, int] = (96, 96),
    batch_size: int = 32,
    batches: int = 6,
    stretches: int = 15,
    precision: str = "auto",
    tf32: bool = True,
) -> Rates:
    """Train both ways in turn; a first stretch of each is not counted.

    Args:
        model: open_clip's name, or `RN-tiny`; initialised at random.
        size: height, width in pixels.
        batch_size: images in a batch.
        batches: of each stretch; the images are as many as that takes.
        stretches: of each way.
        precision, tf32: as of `run`.
    """
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(4) as pool:
        root = _draw(Path(folder) / "set", batches * batch_size, size)
        trainer = Trainer(_profile(model, size, batch_size, precision, tf32, root), Path(folder), lambda event: None)
        trainer.build(pool)
        ours = _ours(trainer)
        ours()
        trainer.data_wait.take()  # the first stretch decodes
        memory = torch.cuda.max_memory_allocated() if trainer.parts.device.type == "cuda" else 0
        bare = _bare(trainer)
        rates: list[tuple[float, float]] = []
        for number in range(stretches + 1):
            pair = [
                (way, _seconds(way, trainer.parts.device)) for way in ((ours, bare) if number % 2 else (bare, ours))
            ]
            took = dict(pair)
            if number:
                rates.append((batches * batch_size / took[bare], batches * batch_size / took[ours]))
        waited = trainer.data_wait.take()
        trainer.parts.close()
    return Rates(
        bare=statistics.median(bare for bare, _ in rates),
        ours=statistics.median(ours for _, ours in rates),
        ratio=statistics.median(ours / bare for bare, ours in rates),
        waited=waited,
        memory=memory,
    )


def _profile(model: str, size: tuple[int, int], batch_size: int, precision: str, tf32: bool, root: Path) -> Profile:
    return Profile.model_validate(
        {
            "run": {"precision": precision, "tf32": tf32},
            "data": {"root": str(root), "image_size": size, "cache_gb": 0.0},
            "model": {"name": model},
            "train": {"batch_size": batch_size, "checkpoint_minutes": 1e6},
        }
    )


def _draw(root: Path, images: int, size: tuple[int, int]) -> Path:
    """A data set of noise, its images already of the right size."""
    rng = np.random.default_rng(0)
    for image in range(images + 2 * IDENTITIES):
        test = image - images
        kind = "train" if test < 0 else "query0" if test < IDENTITIES else "gallery0"
        path = root / kind / f"p{image % IDENTITIES}" / f"{image}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(path)
    return root


def _seconds(way: Callable[[], None], device: torch.device) -> float:
    began = time.perf_counter()
    way()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def _ours(trainer: Trainer) -> Callable[[], None]:
    """An epoch of the trainer."""

    def stretch() -> None:
        trainer.state.position = Position()
        trainer.train_epoch(1, time.monotonic())

    return stretch


def _bare(trainer: Trainer) -> Callable[[], None]:
    """As many batches of the same images, with a model of its own."""
    parts = trainer.parts
    train, device = trainer.profile.train, parts.device
    torch.manual_seed(1)
    model = build_model(trainer.profile.model, trainer.profile.data.image_size).to(device)
    classifier = nn.Linear(model.embedding_dim, IDENTITIES).to(device)
    parameters = [*(p for p in model.parameters() if p.requires_grad), *classifier.parameters()]
    adam = torch.optim.Adam(parameters, lr=train.lr, fused=device.type != "mps")
    scaler = torch.amp.GradScaler(device.type, enabled=parts.precision == "fp16")
    order = parts.batches_of(1)
    batches: list[tuple[Tensor, Tensor]] = [
        (
            to_images(pixels.to(device), parts.mean, parts.std),
            torch.from_numpy(parts.data.train_ids[indices]).to(device),
        )
        for indices, pixels in parts.train_images.batches(order)
    ]
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(parts.precision)

    @products(device, tf32=parts.step.tf32)
    def stretch() -> None:
        for images, ids in batches:
            with torch.autocast(device.type, dtype=half, enabled=half is not None):
                embeddings = model(images)
                logits = classifier(embeddings)
            loss = nn.functional.cross_entropy(logits.float(), ids)
            loss = loss + train.triplet_weight * batch_hard_triplet(embeddings, ids, train.triplet_margin)
            adam.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.unscale_(adam)
            nn.utils.clip_grad_norm_(parameters, train.grad_clip)
            scaler.step(adam)
            scaler.update()

    return stretch


def rows() -> list[Row]:
    return [row_of(compare(), f"RN-tiny at 96x96, batch 32, {torch.get_num_threads()} threads")]


def row_of(rates: Rates, what: str) -> Row:
    """The share of the bare loop."""
    medians = f"{rates.ours:.1f} against {rates.bare:.1f} images/s"
    name = f"training images/s, headless, {what}"
    return Row(name, "a bare loop on tensors in memory", rates.ratio, "x", 0.97, at_least=True, detail=medians)
