"""The batch-hard triplet loss against a loop written from the paper, and at its edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.losses import batch_hard_triplet


def naive(embeddings, ids, margin):
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    losses = []
    for a in range(len(unit)):
        distances = np.linalg.norm(unit - unit[a], axis=1)
        positives = [distances[i] for i in range(len(unit)) if ids[i] == ids[a] and i != a]
        negatives = [distances[i] for i in range(len(unit)) if ids[i] != ids[a]]
        if positives and negatives:
            losses.append(max(0.0, margin + max(positives) - min(negatives)))
    return np.mean(losses) if losses else 0.0


@given(st.integers(1, 12), st.integers(1, 5), st.floats(0, 1), st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_equals_the_loop_over_anchors(batch, identities, margin, seed):
    rng = np.random.default_rng(seed)
    embeddings, ids = rng.normal(size=(batch, 6)), rng.integers(0, identities, batch)
    loss = batch_hard_triplet(torch.from_numpy(embeddings), torch.from_numpy(ids), margin)
    assert loss.item() == pytest.approx(naive(embeddings, ids, margin), abs=1e-5)


@pytest.mark.parametrize("ids", [[0, 0, 0], [0, 1, 2], [0]])
def test_a_batch_without_triplets_costs_nothing_and_has_no_gradient(ids):
    embeddings = torch.randn(len(ids), 4, requires_grad=True)
    loss = batch_hard_triplet(embeddings, torch.tensor(ids), 0.3)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(embeddings.grad, torch.zeros_like(embeddings))


def test_equal_embeddings_have_a_finite_gradient():
    embeddings = torch.ones(4, 3, requires_grad=True)
    batch_hard_triplet(embeddings, torch.tensor([0, 0, 1, 1]), 0.3).backward()
    assert torch.isfinite(embeddings.grad).all()


def test_the_length_of_an_embedding_does_not_matter():
    embeddings, ids = torch.randn(6, 5), torch.tensor([0, 0, 1, 1, 2, 2])
    expected = batch_hard_triplet(embeddings, ids, 0.3)
    torch.testing.assert_close(batch_hard_triplet(embeddings * 40, ids, 0.3), expected)
