"""Batches of pixels on their way to the model: moved as bytes, made numbers on the device."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device; from pinned memory, the host does not wait for a copy to CUDA."""
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


def to_images(pixels: Tensor, mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) fp32 in 0..1, normalised if mean and std are given; on the device of `pixels`.

    The channels of a pixel stay beside each other in memory (`torch.channels_last`): convolutions take that layout over
    from their input, and are faster in it.
    """
    images = pixels.permute(0, 3, 1, 2).float().div_(255)
    if mean is None or std is None:
        return images
    return images.sub_(channels(mean, pixels.device)).div_(channels(std, pixels.device))


@lru_cache(maxsize=8)
def channels(values: tuple[float, ...], device: torch.device) -> Tensor:
    """A value per channel on the device, (1, 3, 1, 1); moved there once."""
    return moved(torch.tensor(values), device).view(1, -1, 1, 1)
