"""Position embeddings of image towers: a grid of patches, row by row, after any class tokens; resized to others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class PositionTable:
    """Where an image tower keeps its position embeddings.

    Args:
        key: name of the parameter in the tower's state dict; its last two dimensions are tokens, channels.
        grid: rows, columns of patches that it is for now.
        stride: height, width in pixels of a patch.
        class_tokens: tokens before the grid.
    """

    key: str
    grid: tuple[int, int]
    stride: tuple[int, int]
    class_tokens: int


def position_table(visual: nn.Module) -> PositionTable | None:
    """The position table of an open_clip image tower; None where it has none (ConvNeXt) or keeps it otherwise."""
    tower = cast(Any, visual)
    if hasattr(tower, "attnpool"):  # ModifiedResNet
        height, width = tower.image_size
        return PositionTable("attnpool.positional_embedding", (height // 32, width // 32), (32, 32), 1)
    if hasattr(tower, "positional_embedding"):  # VisionTransformer
        return PositionTable("positional_embedding", tuple(tower.grid_size), tuple(tower.patch_size), 1)
    trunk = getattr(tower, "trunk", None)
    positions = getattr(trunk, "pos_embed", None)
    grid = getattr(getattr(trunk, "patch_embed", None), "grid_size", None)
    if isinstance(positions, Tensor) and positions.ndim == 3 and grid is not None:
        height, width = tower.image_size
        stride = (height // grid[0], width // grid[1])
        return PositionTable("trunk.pos_embed", tuple(grid), stride, positions.shape[1] - math.prod(grid))
    return None


def resample(positions: Tensor, old: tuple[int, int], new: tuple[int, int], class_tokens: int) -> Tensor:
    """Position embeddings for another grid: bicubic with antialiasing, as open_clip's `resize_pos_embed` does it.

    Args:
        positions: (…, class_tokens + rows * columns, channels), any float type.
        old, new: rows, columns.
        class_tokens: leading tokens, which are kept as they are.

    Returns:
        (…, class_tokens + new rows * new columns, channels), same type; `positions` itself where the grids are equal.
    """
    if old == new:
        return positions
    tokens, grid = positions[..., :class_tokens, :], positions[..., class_tokens:, :]
    channels = positions.shape[-1]
    image = grid.reshape(1, *old, channels).permute(0, 3, 1, 2).float()
    resized = F.interpolate(image, size=new, mode="bicubic", antialias=True, align_corners=False)
    rows = resized.permute(0, 2, 3, 1).reshape(*positions.shape[:-2], math.prod(new), channels)
    return torch.cat([tokens, rows.to(positions.dtype)], dim=-2)


def square_grid(patches: int) -> tuple[int, int] | None:
    """Rows, columns of a square grid of so many patches; None where they make no square."""
    side = math.isqrt(patches)
    return (side, side) if side and side * side == patches else None
