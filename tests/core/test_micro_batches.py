"""A batch in parts has the gradient of the whole batch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.micro_batches import parts_of, sizes_of_parts
from core.model import build_model
from core.profile import Model, Train
from core.step import TrainStep
from core.sums import Sums
from tests.core.tiny_clip import register

CPU = torch.device("cpu")


@pytest.fixture(scope="session", autouse=True)
def tiny_models(tmp_path_factory):
    register(tmp_path_factory.mktemp("models"))


def batches(count, images=11):
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(images, 3, 32, 32, generator=generator), torch.randint(0, 3, (images,), generator=generator))
        for _ in range(count)
    ]


def trained(name, micro_batch, count=1, dtype=torch.float64, change=None):
    """Gradients, weights and sums after some batches; in fp64, where rounding hides nothing."""
    torch.manual_seed(0)
    model = build_model(Model(name=name), (32, 32)).to(dtype)
    if change:
        change(model)
    classifier = nn.Linear(model.embedding_dim, 3).to(dtype)
    train = Train(batch_size=16, micro_batch=micro_batch, lr=1e-3, label_smoothing=0.1, grad_clip=0.0)
    step = TrainStep(model, classifier, train, CPU, "fp32")
    for images, ids in batches(count):
        step(images.to(dtype), ids)
    return [p.grad for p in step.parameters], [*model.state_dict().values()], Sums.over(step.read()), model


@pytest.mark.parametrize(
    ("images", "micro_batch", "parts"),
    [(32, 0, 1), (32, 32, 1), (32, 8, 4), (33, 8, 5), (7, 4, 2), (3, 2, 1), (5, 2, 2), (2, 2, 1), (8, 2, 4)],
)
def test_no_image_is_left_alone(images, micro_batch, parts):
    assert parts_of(images, micro_batch) == parts
    assert {len(part) for part in torch.zeros(images).tensor_split(parts)} == sizes_of_parts(images, micro_batch)
    sizes = [len(part) for part in torch.arange(images).tensor_split(parts)]
    assert min(sizes) >= 2 and (not micro_batch or max(sizes) <= max(micro_batch, 3 if images % 2 else 2))


@pytest.mark.parametrize("micro_batch", [2, 4, 8])
def test_a_transformer_has_the_gradient_of_the_whole_batch(micro_batch):
    grads, weights, sums, _ = trained("tiny-vit", micro_batch)
    whole_grads, whole_weights, whole_sums, _ = trained("tiny-vit", 0)
    # The loss itself is computed in fp32, of embeddings that are equal to the last bits.
    torch.testing.assert_close(grads, whole_grads, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(weights, whole_weights, rtol=1e-5, atol=1e-7)
    assert vars(sums) == pytest.approx(vars(whole_sums), rel=1e-6)


def test_a_transformer_in_fp32():
    grads, _, sums, _ = trained("tiny-vit", 4, dtype=torch.float32)
    whole_grads, _, whole_sums, _ = trained("tiny-vit", 0, dtype=torch.float32)
    torch.testing.assert_close(grads, whole_grads, rtol=1e-3, atol=1e-5)
    assert vars(sums) == pytest.approx(vars(whole_sums), rel=1e-5)


def test_the_loss_mines_the_whole_batch():
    """Every image has its positive in another part: parts of their own would have no triplet."""
    torch.manual_seed(0)
    model = build_model(Model(name="tiny-vit"), (32, 32))
    classifier = nn.Linear(model.embedding_dim, 4)
    step = TrainStep(model, classifier, Train(batch_size=8, micro_batch=4, triplet_margin=1.0), CPU, "fp32")
    step(torch.randn(8, 3, 32, 32), torch.tensor([0, 1, 2, 3, 0, 1, 2, 3]))
    assert Sums.over(step.read()).per_image("triplet") > 0.5


def test_running_statistics_take_in_each_part_once():
    _, _, _, model = trained("RN-tiny", 4, count=2)
    norm = model.visual.bn1
    assert norm.num_batches_tracked.item() == 2 * 3
    torch.manual_seed(0)
    plain = build_model(Model(name="RN-tiny"), (32, 32)).double()
    for part in batches(1)[0][0].double().tensor_split(3):
        plain(part)
    once = trained("RN-tiny", 4)[3]
    for name, value in plain.visual.named_buffers():
        torch.testing.assert_close(once.visual.get_buffer(name), value, rtol=1e-9, atol=1e-12)


class Noisy(nn.Module):
    """Dropout after a linear layer, and what it dropped in each pass."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(12, 6)
        self.seen = []

    def forward(self, images):
        noisy = nn.functional.dropout(self.linear(images.flatten(1)), 0.5)
        self.seen.append((noisy.detach() == 0).clone())
        return noisy


def test_both_passes_drop_the_same():
    torch.manual_seed(0)
    backbone = Noisy()
    step = TrainStep(backbone, nn.Linear(6, 3), Train(batch_size=8, micro_batch=2), CPU, "fp32")
    step(torch.rand(8, 3, 2, 2), torch.arange(8) % 3)
    first, second = backbone.seen[:4], backbone.seen[4:]
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert not torch.equal(first[0], first[1])
