"""`evaluate` against a naive ranking written from the definition, against scikit-learn, and by hand."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from core import metrics
from core.metrics import evaluate


def naive(query, gallery, query_ids, gallery_ids, query_cams=None, gallery_cams=None):
    """Sort the whole gallery of one query after the other, worst case among ties, and read the list off."""
    first, precisions, penalties, unmatched = [], [], [], 0
    for q in range(len(query)):
        items = []
        for g in range(len(gallery)):
            same = query_ids[q] == gallery_ids[g]
            if same and query_cams is not None and query_cams[q] == gallery_cams[g]:
                continue
            cosine = query[q] @ gallery[g] / (np.linalg.norm(query[q]) * np.linalg.norm(gallery[g]))
            items.append((-cosine, bool(same)))  # False sorts first: a wrong item wins the tie
        matches = [same for _, same in sorted(items)]
        if not any(matches):
            unmatched += 1
            continue
        positions = [position for position, same in enumerate(matches, 1) if same]
        first.append(positions[0])
        precisions.append(np.mean([n / position for n, position in enumerate(positions, 1)]))
        penalties.append(len(positions) / positions[-1])
    return first, precisions, penalties, unmatched


@st.composite
def retrieval(draw):
    """Embeddings with one coordinate of +-1: cosines are exact in fp32, and full of ties."""
    q, g, d = draw(st.integers(1, 8)), draw(st.integers(1, 14)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def unit(n):
        one_hot = np.eye(d)[rng.integers(0, d, n)]
        return (one_hot * rng.choice([-1, 1], (n, 1))).astype(np.float32)

    ids, cams = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    labels = [rng.integers(0, ids, q), rng.integers(0, ids, g)]
    if draw(st.booleans()):
        labels += [rng.integers(0, cams, q), rng.integers(0, cams, g)]
    return unit(q), unit(g), labels


WAYS = {
    "CPU": metrics._at_least_on_cpu,
    "another device": lambda similarity, scores, _: metrics._at_least_on_device(similarity, scores),
}


@pytest.mark.parametrize("counting", WAYS.values(), ids=WAYS)
@given(case=retrieval(), block_elements=st.sampled_from([1, 40, 1 << 24]), many=st.sampled_from([0, 2, 32]))
@settings(max_examples=300, deadline=None)
def test_equals_the_naive_ranking(counting, case, block_elements, many):
    query, gallery, labels = case
    first, precisions, penalties, unmatched = naive(query, gallery, *labels)
    tensors = [torch.from_numpy(part) for part in (query, gallery, *labels)]
    ways = {"_at_least_on_cpu": counting, "_MANY": many, "_LEAST_ROWS": 1}
    with patch.multiple(metrics, **ways):
        result = evaluate(*tensors, block_elements=block_elements)
    assert result.queries == len(first)
    assert result.queries_without_match == unmatched
    if not first:
        assert np.isnan(result.mAP) and np.isnan(result.mINP) and np.isnan(result.rank(1))
        return
    assert result.mAP == pytest.approx(np.mean(precisions), abs=1e-9)
    assert result.mINP == pytest.approx(np.mean(penalties), abs=1e-9)
    for k in (1, 5, 10):
        assert result.rank(k) == pytest.approx(np.mean([position <= k for position in first]))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_map_equals_scikit_learn_without_ties(seed):
    generator = torch.Generator().manual_seed(seed)
    query, gallery = torch.randn(6, 8, generator=generator), torch.randn(40, 8, generator=generator)
    query_ids = torch.randint(0, 4, (6,), generator=generator)
    gallery_ids = torch.cat([torch.arange(4), torch.randint(0, 4, (36,), generator=generator)])
    cosine = torch.nn.functional.cosine_similarity(query[:, None], gallery[None], dim=2)
    expected = [average_precision_score(gallery_ids == query_ids[q], cosine[q]) for q in range(6)]
    assert evaluate(query, gallery, query_ids, gallery_ids).mAP == pytest.approx(np.mean(expected), abs=1e-6)


@pytest.mark.parametrize("identities", [2, 100])
@pytest.mark.parametrize("queries", [5, 70, 101])
@pytest.mark.parametrize("at_a_time", [None, 32])
def test_results_do_not_depend_on_the_size_of_a_block(monkeypatch, identities, queries, at_a_time):
    monkeypatch.setattr(metrics, "_rows_at_a_time", lambda device: at_a_time)
    draw = torch.Generator().manual_seed(0)
    embeddings = [torch.randn(n, 64, generator=draw) for n in (queries, 600)]
    labels = [torch.randint(most, (n,), generator=draw) for most in (identities, 3) for n in (queries, 600)]
    results = [evaluate(*embeddings, *labels, block_elements=size) for size in (1, 12_345, 30_000, 1 << 26)]
    for result in results[1:]:
        assert torch.equal(result.cmc, results[0].cmc)
        assert (result.mAP, result.mINP) == (results[0].mAP, results[0].mINP)


def test_a_wrong_item_with_an_equal_score_ranks_first():
    same = torch.ones(1, 3)
    result = evaluate(same, same.expand(2, 3), torch.tensor([7]), torch.tensor([7, 8]))
    assert result.rank(1) == 0.0
    assert result.rank(2) == 1.0
    assert result.mAP == 0.5


@pytest.mark.parametrize("width", [3, 64, 500])
def test_a_copy_of_the_match_under_another_identity_ranks_first_whatever_the_rounding(width):
    generator = torch.Generator().manual_seed(width)
    query, match = torch.randn(40, width, generator=generator), torch.randn(40, width, generator=generator)
    ids = torch.arange(40)
    gallery, gallery_ids = torch.cat([match, match]), torch.cat([ids, ids + 100])
    alone = evaluate(query, match, ids, ids, max_rank=40)
    doubled = evaluate(query, gallery, ids, gallery_ids, max_rank=80)
    assert doubled.rank(1) == 0.0
    assert [doubled.rank(2 * k) for k in (1, 5, 20, 40)] == [alone.rank(k) for k in (1, 5, 20, 40)]


def test_same_identity_and_camera_is_neither_match_nor_wrong():
    query = torch.tensor([[1.0, 0.0]])
    gallery = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
    ids, cams = torch.tensor([1, 1, 2]), torch.tensor([0, 1, 1])
    result = evaluate(query, gallery, torch.tensor([1]), ids, torch.tensor([0]), cams)
    assert (result.rank(1), result.mAP, result.mINP) == (1.0, 1.0, 1.0)


def test_queries_without_a_match_are_counted_and_left_out():
    query, gallery = torch.eye(2), torch.eye(2)
    result = evaluate(query, gallery, torch.tensor([0, 9]), torch.tensor([0, 1]))
    assert (result.rank(1), result.mAP, result.queries, result.queries_without_match) == (1.0, 1.0, 1, 1)


def test_rank_beyond_the_gallery_is_the_rank_of_all_of_it():
    result = evaluate(torch.eye(2)[:1], torch.eye(2), torch.tensor([1]), torch.tensor([0, 1]))
    assert (result.rank(1), result.rank(10)) == (0.0, 1.0)


def test_the_length_of_an_embedding_does_not_matter():
    query, gallery = torch.tensor([[3.0, 0.1]]), torch.tensor([[0.1, 0.0], [50.0, 50.0]])
    assert evaluate(query, gallery, torch.tensor([1]), torch.tensor([1, 2])).rank(1) == 1.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"query": torch.ones(2, 4)}, "embeddings must be"),
        ({"query": torch.ones(0, 3), "query_ids": torch.ones(0, dtype=torch.long)}, "must not be empty"),
        ({"query": torch.full((2, 3), torch.nan)}, "not finite"),
        ({"query_ids": torch.ones(2)}, "query_ids must be"),
        ({"gallery_ids": torch.ones(3, dtype=torch.long)}, "gallery_ids must be"),
        ({"query_cams": torch.ones(2, dtype=torch.long)}, "for both"),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
    arguments = {
        "query": torch.ones(2, 3),
        "gallery": torch.ones(2, 3),
        "query_ids": torch.ones(2, dtype=torch.long),
        "gallery_ids": torch.ones(2, dtype=torch.long),
    }
    with pytest.raises(ValueError, match=words):
        evaluate(**{**arguments, **change})
