"""One training step against plain PyTorch, and what happens when a number is not finite."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from core.losses import batch_hard_triplet
from core.profile import Train
from core.step import NotFiniteError, TrainStep, lr_factor
from core.sums import Sums

CPU = torch.device("cpu")


class Backbone(nn.Module):
    """Embeds 2x2 images; has batch normalisation, whose running statistics move in the forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(12, 6)
        self.norm = nn.BatchNorm1d(6)

    def forward(self, images):
        return self.norm(self.linear(images.flatten(1)))


def make(seed=0, **train):
    torch.manual_seed(seed)
    backbone, classifier = Backbone(), nn.Linear(6, 3)
    return backbone, classifier, Train(**{"lr": 1e-2, **train})


def batches(count):
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.rand(8, 3, 2, 2, generator=generator), torch.randint(0, 3, (8,), generator=generator))
        for _ in range(count)
    ]


def weights(*modules):
    return [value.clone() for module in modules for value in module.state_dict().values()]


def test_equals_plain_pytorch():
    backbone, classifier, train = make(label_smoothing=0.1, triplet_weight=0.5, weight_decay=1e-3, grad_clip=0.2)
    step = TrainStep(backbone, classifier, train, CPU, "fp32")
    step.set_progress(0.0)
    for images, ids in batches(5):
        step(images, ids)
    sums = Sums.over(step.read())

    backbone2, classifier2, _ = make()
    groups = [{"params": backbone2.parameters()}, {"params": classifier2.parameters(), "lr": 1e-3}]
    adam = torch.optim.Adam(groups, lr=1e-2, weight_decay=1e-3)
    ce_sum = hits5 = hits1 = norms = 0.0
    for images, ids in batches(5):
        embeddings = backbone2(images)
        logits = classifier2(embeddings)
        ce = F.cross_entropy(logits, ids, label_smoothing=0.1)
        adam.zero_grad()
        (ce + 0.5 * batch_hard_triplet(embeddings, ids, 0.3)).backward()
        norms += nn.utils.clip_grad_norm_([*backbone2.parameters(), *classifier2.parameters()], 0.2).item()
        adam.step()
        ce_sum += 8 * ce.item()
        hits1 += (logits.argmax(1) == ids).sum().item()
        hits5 += 8  # three identities: Rank-5 looks at all of them
    torch.testing.assert_close(weights(backbone, classifier), weights(backbone2, classifier2))
    assert sums.images == 40
    assert sums.per_image("ce") == pytest.approx(ce_sum / 40, rel=1e-5)
    assert sums.per_image("hits1") == pytest.approx(hits1 / 40)
    assert sums.per_image("hits5") == pytest.approx(hits5 / 40) == 1.0
    assert sums.per_batch("grad_norm") == pytest.approx(norms / 5, rel=1e-5)
    assert sums.per_image("loss") == pytest.approx(sums.per_image("ce") + 0.5 * sums.per_image("triplet"), rel=1e-5)
    assert step.read() == []


@pytest.mark.parametrize("poisoned", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_leaves_the_last_good_weights(poisoned):
    backbone, classifier, train = make()
    step = TrainStep(backbone, classifier, train, CPU, "fp32")
    good, (bad_images, ids), after = batches(3)
    step(*good)
    step.read()
    before = weights(backbone, classifier)
    step(bad_images * poisoned, ids)
    step(*after)  # the host has not looked yet: this batch must change nothing either
    with pytest.raises(NotFiniteError) as caught:
        step.read()
    assert caught.value.batch == 2
    for now, then in zip(weights(backbone, classifier), before, strict=True):
        assert torch.equal(now, then)


def test_a_model_is_fit_to_be_saved_before_the_host_knows_of_the_bad_batch():
    backbone, classifier, train = make()
    step = TrainStep(backbone, classifier, train, CPU, "fp32")
    good, (bad_images, ids) = batches(2)
    step(*good)
    step.read()
    before = weights(backbone, classifier)
    step(bad_images * math.nan, ids)
    assert step.keep_good() == 2
    assert all(torch.equal(now, then) for now, then in zip(weights(backbone, classifier), before, strict=True))
    with pytest.raises(NotFiniteError):
        step.read()


def test_numbers_that_are_on_their_way_come_later_each_once_and_in_order(slow_device):
    step = TrainStep(*make(), CPU, "fp32")
    assert not step.send() and step.read() == []
    told, per_look = [], []
    for number, batch in enumerate(batches(9), 1):
        step(batch[0][:number].repeat(2, 1, 1, 1), batch[1][:number].repeat(2))
        assert step.send()
        now = step.read(wait=False)
        per_look.append(len(now))
        told += now
    assert per_look == [0, 0, 1, 0, 0, 3, 0, 0, 3]
    told += step.read()
    assert [row.images for row in told] == [2, 4, 6, 8, 10, 12, 14, 16, 16]


def test_a_batch_that_is_not_finite_is_told_with_the_numbers_that_have_come(slow_device):
    backbone, classifier, train = make()
    step = TrainStep(backbone, classifier, train, CPU, "fp32")
    good, (bad_images, ids), *after = batches(9)
    step(*good)
    step.read()
    before = weights(backbone, classifier)
    step(bad_images * math.nan, ids)
    with pytest.raises(NotFiniteError) as caught:
        for batch in after:
            step.send()
            assert step.read(wait=False) == []
            step(*batch)
    assert caught.value.batch == 2
    assert all(torch.equal(now, then) for now, then in zip(weights(backbone, classifier), before, strict=True))
    with pytest.raises(NotFiniteError):
        step.read()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_an_infinite_loss_with_a_finite_gradient_changes_nothing(precision):
    backbone, classifier, train = make()
    with torch.no_grad():
        classifier.bias[0] = -math.inf  # the loss of an image of this identity; its softmax is an honest 0
    step = TrainStep(backbone, classifier, train, CPU, precision)
    parameters = [*backbone.parameters(), *classifier.parameters()]
    before = [parameter.clone() for parameter in parameters]
    images, _ = batches(1)[0]
    step(images, torch.zeros(8, dtype=torch.long))
    with pytest.raises(NotFiniteError):
        step.read()
    assert all(torch.equal(now, then) for now, then in zip(parameters, before, strict=True))


def test_in_fp16_a_few_gradients_may_be_infinite_but_not_all_of_them():
    backbone, classifier, train = make()
    step = TrainStep(backbone, classifier, train, CPU, "fp16")
    bad = next(backbone.parameters()).register_hook(lambda gradient: gradient * math.inf)
    for batch in batches(30):
        step(*batch)
    assert len(step.read()) == 30
    bad.remove()
    before = weights(backbone, classifier)
    for batch in batches(3):
        step(*batch)
    assert len(step.read()) == 3
    after = weights(backbone, classifier)
    assert not all(torch.equal(now, then) for now, then in zip(after, before, strict=True))
    next(backbone.parameters()).register_hook(lambda gradient: gradient * math.inf)
    for batch in batches(60):
        step(*batch)
    with pytest.raises(NotFiniteError):
        step.read()
    assert all(torch.equal(now, then) for now, then in zip(weights(backbone, classifier), after, strict=True))


@pytest.mark.parametrize(("one", "other"), [("fp32", "fp16"), ("fp16", "fp32"), ("bf16", "fp16"), ("fp16", "fp16")])
def test_a_step_in_one_precision_goes_on_in_another(one: str, other: str) -> None:
    """`auto` is another one on another device."""
    step = TrainStep(*make(), CPU, one)
    step(*batches(1)[0])
    then = TrainStep(*make(), CPU, other)
    then.load_state_dict(step.state_dict())
    then(*batches(1)[0])
    assert len(then.read()) == 1


def test_the_optimizer_of_another_device_goes_on_here():
    """On MPS, Adam is not fused."""
    step = TrainStep(*make(), CPU, "fp32")
    step(*batches(1)[0])
    state = step.state_dict()
    for group in state["optimizer"]["param_groups"]:
        group["fused"] = False
    other = TrainStep(*make(), CPU, "fp32")
    other.load_state_dict(state)
    other(*batches(1)[0])
    assert len(other.read()) == 1


def test_a_gradient_that_is_not_finite_counts_as_well():
    backbone, classifier, train = make()
    backbone.linear.weight.register_hook(lambda grad: grad * math.inf)
    step = TrainStep(backbone, classifier, train, CPU, "fp32")
    before = [p.clone() for p in backbone.parameters()]
    step(*batches(1)[0])
    with pytest.raises(NotFiniteError):
        step.read()
    assert all(torch.equal(now, then) for now, then in zip(backbone.parameters(), before, strict=True))


def test_two_learning_rates():
    step = TrainStep(*make(classifier_lr_scale=0.1, warmup_epochs=2, epochs=10), CPU, "fp32")
    step.set_progress(1.0)
    assert step.lr == pytest.approx(5e-3)
    assert step.classifier_lr == pytest.approx(5e-4)


def test_schedules():
    constant, cosine = Train(epochs=10, warmup_epochs=2), Train(epochs=10, warmup_epochs=2, schedule="cosine")
    assert [lr_factor(epoch, constant) for epoch in (0, 1, 2, 9.9)] == [0, 0.5, 1, 1]
    assert [lr_factor(epoch, cosine) for epoch in (0, 1, 2, 6, 10)] == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert lr_factor(0, Train(epochs=1, warmup_epochs=5)) == 0.0


def test_no_clipping_still_logs_the_norm():
    step = TrainStep(*make(grad_clip=0.0), CPU, "fp32")
    step(*batches(1)[0])
    assert Sums.over(step.read()).per_batch("grad_norm") > 0
