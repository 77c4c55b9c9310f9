"""Which device and which autocast type a run takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from core.errors import ReidError

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(wish: str) -> torch.device:
    """The device of a profile's `run.device`; `auto` prefers CUDA, then MPS, then the CPU.

    Raises:
        ReidError: the machine does not have it.
    """
    if wish == "auto":
        wish = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(wish)
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            seen = f"{count} CUDA device(s)" if count else "no CUDA device"
            raise ReidError("Device not there", f"run.device is {wish}, and torch sees {seen}; try `auto` or `cpu`")
        return torch.device("cuda", device.index or 0)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ReidError("Device not there", "run.device is mps, and torch sees none; try `auto` or `cpu`")
    return device


def choose_precision(wish: str, device: torch.device) -> str:
    """The autocast type of a profile's `run.precision`: `fp32`, `bf16` or `fp16`.

    Raises:
        ReidError: the device can't do it.
    """
    if wish == "auto":
        if device.type != "cuda":
            return "fp32"
        return "bf16" if _has_bf16(device) else "fp16"
    if wish == "bf16" and device.type == "cuda" and not _has_bf16(device):
        raise ReidError("Precision not there", f"run.precision is bf16, which {device} cannot compute; try `auto`")
    if wish == "fp16" and device.type != "cuda":
        raise ReidError("Precision not there", f"run.precision is fp16, which needs CUDA, not {device}; try `auto`")
    return wish


def _has_bf16(device: torch.device) -> bool:
    with torch.cuda.device(device):  # it is asked of the current one
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Autocast of the forward pass; nothing for fp32."""
    dtype = PRECISIONS[precision]
    return torch.autocast(device.type, dtype=dtype) if dtype else nullcontext()


@contextmanager
def products(device: torch.device, *, tf32: bool) -> Iterator[None]:
    """Inside, CUDA's matrix products and convolutions of fp32 numbers are in TF32, or in full fp32; then as before.

    The process has one such setting, so it is kept to the passes through the model: whatever ranks embeddings finds
    torch's own, full fp32 for matrix products. Not nested in another of the kind, nor in two threads at once.
    """
    if device.type != "cuda":
        yield
        return
    # Of the ways to say so, this one is neither deprecated nor new in torch 2.9; the two go together.
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    _set_tf32("high" if tf32 else "highest", tf32)
    try:
        yield
    finally:
        _set_tf32(*before)


def _set_tf32(matrices: str, convolutions: bool) -> None:
    torch.set_float32_matmul_precision(matrices)
    torch.backends.cudnn.allow_tf32 = convolutions


def describe(device: torch.device) -> str:
    """The device as a person names it."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type != "cpu":
        return str(device)
    threads = torch.get_num_threads()
    return f"cpu ({threads} thread{'s' if threads > 1 else ''})"
