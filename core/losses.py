"""The batch-hard triplet loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def batch_hard_triplet(embeddings: Tensor, ids: Tensor, margin: float) -> Tensor:
    """Batch-hard triplet loss on L2-normalised embeddings (Hermans et al.: In Defense of the Triplet Loss, 2017).

    For each anchor: max(0, margin + distance to its farthest positive - distance to its nearest negative), Euclidean,
    so distances are in 0..2. An anchor without a positive or without a negative in the batch does not count; a batch
    without any other anchor costs 0.

    Args:
        embeddings: (B, D), of any length and float type; computed in fp32.
        ids: (B,) integer identities.
        margin: in the unit of the distance.

    Returns:
        The mean over the anchors that count, a scalar in fp32. Nothing is read back from the device.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        unit = F.normalize(embeddings.float(), dim=1)
        # |a - b|^2 = 2 - 2ab; the floor keeps the gradient of the root finite for equal embeddings.
        distance = (2 - 2 * unit @ unit.T).clamp(min=1e-12).sqrt()
    same = ids.unsqueeze(0) == ids.unsqueeze(1)
    positive = same & ~torch.eye(len(ids), dtype=torch.bool, device=ids.device)
    farthest = torch.where(positive, distance, -torch.inf).amax(1)
    nearest = torch.where(same, torch.inf, distance).amin(1)
    counts = positive.any(1) & ~same.all(1)
    # Infinities of anchors that do not count go before the arithmetic: their gradient would be NaN.
    farthest, nearest = torch.where(counts, farthest, 0.0), torch.where(counts, nearest, 0.0)
    hinge = F.relu(margin + farthest - nearest) * counts
    return hinge.sum() / counts.sum().clamp(min=1)
