"""Augmentations of training batches, on the device: flip, padded crop, random erasing; each image has its own draw.

The draws are a row of small numbers for each image, taken from (seed, epoch, batch) alone: they are the same on every
device, wherever a run was cut, and whatever else draws random numbers. Which augmentations are on does not change what
the others draw. Nothing is read back from the device.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.profile import Augment

# Random erasing, Zhong et al.: Random Erasing Data Augmentation, AAAI 2020, section 4: s_l, s_h, r_1, r_2.
AREA = (0.02, 0.4)  # of the box, as a share of the image
ASPECT = (0.3, 1 / 0.3)  # of the box, height / width
TRIES = 10  # boxes drawn for an image until one fits into it

FLIP, DOWN, RIGHT, TOP, LEFT, HEIGHT, WIDTH = range(7)  # the columns of the draws


def draw(augment: Augment, images: int, size: tuple[int, int], seed: int, epoch: int, batch: int) -> Tensor:
    """What is done to each image of a batch.

    Args:
        augment: the profile's `[augment]`.
        images: B.
        size: height, width in pixels.
        seed, epoch, batch: which draws; epochs and batches count from 1.

    Returns:
        (B, 7) int64 on the CPU: 1 if the image is flipped, else 0; how far the crop is moved down and to the right, in
        pixels, -`crop_padding` to `crop_padding`; top, left, height and width of the box that is erased, in pixels of
        the crop, the last two 0 where none is.
    """
    # [seed, epoch] are the order of the batches; batches count from 1, so that no two of these are one stream.
    chance = np.random.default_rng([seed, epoch, batch]).random((images, 6 + 2 * TRIES))
    reach = augment.crop_padding
    height, width = _boxes(chance[:, 6 : 6 + TRIES], chance[:, 6 + TRIES :], size)
    drawn = np.empty((images, 7), np.int64)
    drawn[:, FLIP] = chance[:, 0] < augment.flip
    drawn[:, DOWN] = np.floor(chance[:, 1] * (2 * reach + 1)) - reach
    drawn[:, RIGHT] = np.floor(chance[:, 2] * (2 * reach + 1)) - reach
    drawn[:, TOP] = np.floor(chance[:, 4] * (size[0] - height + 1))
    drawn[:, LEFT] = np.floor(chance[:, 5] * (size[1] - width + 1))
    erased = chance[:, 3] < augment.erase
    drawn[:, HEIGHT], drawn[:, WIDTH] = height * erased, width * erased
    return torch.from_numpy(drawn)


def _boxes(
    areas: NDArray[np.float64], aspects: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Height and width of a box for each image: the first of its tries that fits, else one that is cut to fit.

    Args:
        areas, aspects: (B, TRIES) in 0..1.
        size: height, width in pixels.
    """
    area = (AREA[0] + areas * (AREA[1] - AREA[0])) * size[0] * size[1]
    aspect = ASPECT[0] + aspects * (ASPECT[1] - ASPECT[0])
    heights = np.rint(np.sqrt(area * aspect)).clip(min=1)
    widths = np.rint(np.sqrt(area / aspect)).clip(min=1)
    first = ((heights <= size[0]) & (widths <= size[1])).argmax(1, keepdims=True)
    height, width = (np.take_along_axis(sides, first, 1)[:, 0] for sides in (heights, widths))
    return height.clip(max=size[0]), width.clip(max=size[1])


def shifted(pixels: Tensor, drawn: Tensor) -> Tensor:
    """Padded crop and flip: (B, H, W, 3) uint8 to the same. Pixels are moved, not mixed.

    The padding repeats the image's edge, whatever its background is. The crop is cut out of the padded image, and then
    flipped.

    Args:
        pixels: on any device.
        drawn: (B, 7) of `draw`, on that device.
    """
    images, height, width, _ = pixels.shape
    device = pixels.device
    flip, down, right = (drawn[:, column : column + 1] for column in (FLIP, DOWN, RIGHT))
    column = torch.arange(width, device=device)
    column = torch.where(flip > 0, width - 1 - column, column)
    rows = (torch.arange(height, device=device) + down).clamp(0, height - 1)
    columns = (column + right).clamp(0, width - 1)
    image = torch.arange(images, device=device).view(-1, 1, 1)
    return pixels[image, rows.unsqueeze(2), columns.unsqueeze(1)]


def erased(images: Tensor, drawn: Tensor, fill: Tensor) -> Tensor:
    """Random erasing: (B, 3, H, W) to the same, the box of each image filled.

    Args:
        images: as the model takes them, on any device.
        drawn: (B, 7) of `draw`, on that device.
        fill: a colour that broadcasts to `images`: the mean of the model's preprocessing, which is 0 in normalised
            images. The paper finds it about as good as random pixels, which would be a draw per pixel.
    """
    height, width = images.shape[-2:]
    top, left, tall, wide = (drawn[:, column : column + 1] for column in (TOP, LEFT, HEIGHT, WIDTH))
    row = torch.arange(height, device=images.device)
    column = torch.arange(width, device=images.device)
    rows = (row >= top) & (row < top + tall)
    columns = (column >= left) & (column < left + wide)
    return torch.where((rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1), fill, images)
