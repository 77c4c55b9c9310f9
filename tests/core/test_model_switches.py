"""Gradient checkpointing and torch.compile: same results, or one message with the way out."""

from __future__ import annotations

import copy
import shutil

import pytest
import torch
from torch import nn
from torch._dynamo.exc import BackendCompilerFailed

from core.checkpoint import load_checkpoint, restore_model, save_checkpoint
from core.errors import ReidError
from core.model import build_model
from core.model_switches import checkpoint_gradients, compile_faults, compiled
from core.profile import Model, Train
from core.step import TrainStep
from tests.core.tiny_clip import register

CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler, which torch.compile needs")


@pytest.fixture(scope="session", autouse=True)
def tiny_models(tmp_path_factory):
    register(tmp_path_factory.mktemp("models"))


def build(name, size=(32, 32)):
    torch.manual_seed(0)
    return build_model(Model(name=name), size)


def train_once(model, forward=None, images=6):
    """Gradients of a batch."""
    torch.manual_seed(1)
    step = TrainStep(model, nn.Linear(model.embedding_dim, 3), Train(), CPU, "fp32", forward=forward)
    step(torch.randn(images, 3, *model.image_size), torch.arange(images) % 3)
    return [p.grad for p in step.parameters]


@pytest.mark.parametrize(("name", "size"), [("tiny-vit", (32, 32)), ("tiny-timm", (160, 160)), ("tiny-swin", (64, 64))])
def test_gradient_checkpointing_changes_no_bit(name, size):
    plain = build(name, size)
    model = copy.deepcopy(plain)
    checkpoint_gradients(model)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(1) or x, lambda x: x):
        grads = train_once(model)
        few = len(saved)
        saved.clear()
        whole = train_once(plain)
    assert few < len(saved)
    assert all(torch.equal(one, other) for one, other in zip(grads, whole, strict=True))
    model.eval()
    with torch.inference_mode():
        assert torch.isfinite(model(torch.zeros(1, 3, *size))).all()


@pytest.mark.parametrize("name", ["RN-tiny"])
def test_a_tower_that_cannot_checkpoint_gradients(name):
    with pytest.raises(ReidError) as caught:
        checkpoint_gradients(build(name))
    assert "train.grad_checkpointing is true" in caught.value.message and name in caught.value.message
    assert "set it to false. train.micro_batch saves memory" in caught.value.message


def test_a_run_that_cannot_checkpoint_gradients_says_so_at_once(train, tiny_profile):
    outcome = train(tiny_profile(grad_checkpointing=True))
    assert outcome.finished.reason == "failed" and "train.grad_checkpointing is true" in outcome.finished.message
    assert outcome.checkpoints == {}


def test_nothing_to_compile_with():
    with torch._inductor.config.patch({"cpp.cxx": (None, "/nowhere/g++")}), pytest.raises(ReidError) as caught:
        compiled(build("tiny-vit"), CPU, {6})
    assert "train.compile is true" in caught.value.message and "/nowhere/g++" in caught.value.message
    assert "set it to false, or install what is missing: g++" in caught.value.message


def test_other_faults_go_by():
    with pytest.raises(ZeroDivisionError), compile_faults():
        raise ZeroDivisionError


def test_memory_that_is_full_while_compiling_is_no_fault_of_the_compiler():
    full = torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(torch.OutOfMemoryError), compile_faults():
        raise BackendCompilerFailed(lambda: None, full, [])


@needs_compiler
@pytest.mark.slow
def test_a_compiled_model_trains_the_same_and_is_saved_under_plain_names(tmp_path):
    plain = build("tiny-vit")
    model = copy.deepcopy(plain)
    forward = compiled(model, CPU, {6})
    grads = train_once(model, forward)
    torch.testing.assert_close(grads, train_once(plain), rtol=1e-3, atol=1e-5)
    unusual = torch.randn(5, 3, *model.image_size)
    with torch._dynamo.config.patch(error_on_recompile=True):  # a size that is not one of the usual ones
        assert torch.equal(forward(unusual), model(unusual))
    assert model.clip.state_dict().keys() == plain.clip.state_dict().keys()
    assert not any("_orig_mod" in name for name in model.clip.state_dict())
    path = tmp_path / "x.pth"
    save_checkpoint(path, model, nn.Linear(model.embedding_dim, 1), ["a"], {}, 1, {}, "test")
    restored = restore_model(load_checkpoint(path)).state_dict()
    assert all(torch.equal(value, restored[name]) for name, value in model.state_dict().items())
