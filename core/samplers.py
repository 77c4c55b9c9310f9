"""Batches of an epoch, as indices into the training images.

Drawn from (seed, epoch) alone, so that any epoch can be drawn again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Batches = list[NDArray[np.int64]]


def shuffle_batches(images: int, batch_size: int, seed: int, epoch: int) -> Batches:
    """Every image once, in random order; the last batch may be smaller.

    A last batch of one image joins the batch before it: batch normalisation can't train on one image, and it has no
    triplet.
    """
    order = np.random.default_rng([seed, epoch]).permutation(images)
    cuts = list(range(batch_size, images, batch_size))
    if cuts and images - cuts[-1] == 1:
        cuts.pop()
    return np.split(order, cuts)


def pk_batches(ids: Sequence[int], batch_size: int, images_per_identity: int, seed: int, epoch: int) -> Batches:
    """Batches of P identities x K images (Hermans et al., 2017), P = batch_size / K.

    Each identity gives its images, in random order, to groups of K; one with fewer than K images repeats some. An
    epoch draws groups until fewer than P identities have one left; these get a last batch, filled up with identities
    that were drawn before. So each image is seen about once, but of an identity with far more images than the others
    only a part. Where there are fewer than P identities altogether, a batch has all of them.

    Args:
        ids: (N,) identity of each training image.
        batch_size: a multiple of `images_per_identity`.
        images_per_identity: K.
        seed: the run's seed.
        epoch: number of the epoch.
    """
    rng = np.random.default_rng([seed, epoch])
    labels = np.asarray(ids, dtype=np.int64)
    groups: dict[int, Batches] = {}
    for identity in np.unique(labels):
        images = rng.permutation(np.flatnonzero(labels == identity))
        short = -len(images) % images_per_identity
        # The last group is filled up with images of the groups before it, and only else with its own.
        whole = images[: len(images) - len(images) % images_per_identity]
        filled = np.concatenate(
            [images, rng.choice(whole, short, replace=False) if len(whole) else rng.choice(images, short)]
        )
        groups[int(identity)] = np.split(filled, len(filled) // images_per_identity)
    first_groups = {identity: group[0] for identity, group in groups.items()}
    identities_per_batch = min(batch_size // images_per_identity, len(groups))
    batches: Batches = []
    while len(groups) >= identities_per_batch:
        # Identities with more groups left are drawn sooner, or the end of the epoch would be theirs alone.
        left = np.array([len(group) for group in groups.values()], dtype=np.float64)
        drawn = rng.choice(list(groups), identities_per_batch, replace=False, p=left / left.sum())
        batches.append(np.concatenate([groups[int(identity)].pop() for identity in drawn]))
        groups = {identity: group for identity, group in groups.items() if group}
    if groups:
        others = [identity for identity in first_groups if identity not in groups]
        again = rng.choice(others, identities_per_batch - len(groups), replace=False)
        last = [group.pop() for group in groups.values()]
        batches.append(np.concatenate([*last, *(first_groups[int(identity)] for identity in again)]))
    return batches


def single_image_identities(ids: Sequence[int]) -> int:
    """How many identities have one image: they have no positive but themselves."""
    return int((np.unique(np.asarray(ids), return_counts=True)[1] == 1).sum())
