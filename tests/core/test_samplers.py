"""What every epoch's batches hold, whatever the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.samplers import pk_batches, shuffle_batches, single_image_identities

ids_of_images = st.lists(st.integers(0, 8), min_size=1, max_size=60)


@given(st.integers(2, 200), st.integers(2, 40), st.integers(0, 2**62))
@settings(deadline=None)
def test_shuffle_sees_every_image_once_and_never_one_alone(images, batch_size, seed):
    batches = shuffle_batches(images, batch_size, seed, epoch=1)
    assert sorted(np.concatenate(batches)) == list(range(images))
    assert all(2 <= len(batch) <= batch_size + 1 for batch in batches)


@given(ids_of_images, st.integers(2, 5), st.integers(1, 4), st.integers(0, 2**62))
@settings(deadline=None)
def test_pk_batches_are_p_identities_of_k_images(ids, k, p, seed):
    labels = np.array(ids)
    wanted = min(p, len(np.unique(labels)))
    batches = pk_batches(ids, p * k, k, seed, epoch=3)
    assert batches
    for batch in batches:
        identities, counts = np.unique(labels[batch], return_counts=True)
        assert len(identities) == wanted
        assert set(counts) == {k}
        for identity in identities:
            drawn = batch[labels[batch] == identity]
            owned = int((labels == identity).sum())
            assert len(set(drawn)) == min(k, owned), "images repeat only where an identity has fewer than K"


@given(ids_of_images, st.integers(0, 2**62))
@settings(deadline=None)
def test_an_epoch_can_be_redone_and_epochs_differ(ids, seed):
    again = [pk_batches(ids, 8, 4, seed, epoch=2) for _ in range(2)]
    assert [batch.tolist() for batch in again[0]] == [batch.tolist() for batch in again[1]]
    if len(ids) > 30:
        orders = {tuple(np.concatenate(shuffle_batches(len(ids), 8, seed, epoch))) for epoch in range(3)}
        assert len(orders) == 3


@pytest.mark.parametrize(("identities", "images"), [(12, 8), (30, 3), (5, 1)])
@pytest.mark.parametrize("seed", range(5))
def test_balanced_identities_are_nearly_all_seen(identities, images, seed):
    ids = np.repeat(np.arange(identities), images)
    batches = pk_batches(ids.tolist(), 64, 4, seed, epoch=1)
    assert len(set(np.concatenate(batches))) >= 0.9 * len(ids)


def test_identities_with_one_image_are_counted():
    assert single_image_identities([0, 0, 1, 2, 2, 3]) == 2
