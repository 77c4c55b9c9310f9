"""The words for what ended a run: a title, and a message that says what to change."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from core.errors import ReidError
from core.profile import Train
from core.trainer import Trainer

# What torch says of memory in plain RuntimeErrors.
_GPU_WORDS = ("CUDA error: out of memory", "ALLOC_FAILED", "MPS backend out of memory")
_CPU_WORDS = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory")


@dataclass(frozen=True)
class Fault:
    """What ended a run; `unforeseen` where nobody thought of it, so that its traceback is all there is to go by."""

    title: str
    message: str
    unforeseen: bool = False


def explain(error: BaseException, trainer: Trainer | None) -> Fault:
    """The words for a fault; without a trainer, it came before there was one."""
    if isinstance(error, ReidError):
        return Fault(error.title, error.message)
    if isinstance(error, KeyboardInterrupt):
        return Fault("Interrupted", "the run was ended at once")
    if trainer and (memory := _memory_that_is_full(error)):
        return Fault(f"Out of {memory}", _smaller(trainer))
    if isinstance(error, OSError):
        told = error.filename and error.strerror
        words = f"{error.filename}: {error.strerror}" if told else str(error)
        return Fault("A file cannot be written or read", words)
    return Fault(type(error).__name__, str(error) or "no message; the log has the traceback", unforeseen=True)


def _memory_that_is_full(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError):
        return "GPU memory"
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, RuntimeError):
        if any(words in text for words in _GPU_WORDS):
            return "GPU memory"
        if any(words in text for words in _CPU_WORDS):
            return "memory"
    return ""


def smaller_batch(train: Train) -> int | None:
    """About half the batch, as the profile's rules allow it; None where it is the smallest already."""
    if train.sampler == "pk":
        k = train.images_per_identity
        half = max(train.batch_size // k // 2, 2) * k
    else:
        half = max(train.batch_size // 2, 2)
    return half if half < train.batch_size else None


def _smaller(trainer: Trainer) -> str:
    """What did not fit, what to change, and what there is to go on from."""
    profile = trainer.profile
    height, width = profile.data.image_size
    if not trainer.built:
        return f"{profile.model.name} itself did not fit; end other programs that take memory, or use a smaller model"
    device, precision = trainer.parts.device, trainer.parts.precision
    batch = smaller_batch(profile.train)
    part = profile.train.micro_batch or profile.train.batch_size
    ways = [f"train.micro_batch = {part // 2} (the loss still sees the whole batch)"] if part >= 4 else []
    ways += [f"train.batch_size = {batch}"] if batch else []
    if device.type != "cpu" and precision == "fp32":
        ways.append('run.precision = "bf16"')
    ways.append(f"a data.image_size below [{height}, {width}]")
    fit = f"batches of {profile.train.batch_size} images of {height}x{width} in {precision} did not fit on {device}"
    final = trainer.saver.saved.get("FINAL")
    kept = "FINAL could not be saved"
    if final:
        kept = f"The last good weights are in {final.name}, which model.pretrained takes"
    return (
        f"{fit}. Launch anew with {', or '.join(ways)}. {kept}. "
        "If other programs took the memory, end them and resume this run as it is"
    )
