"""The host asks the device for nothing while it trains: it would wait for it, once per batch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from core.data.unreadable import stop
from core.parts import Parts
from core.profile import Profile

# What makes a host that drives a GPU wait: a number read back, or a shape that depends on values.
READS = {
    "aten._local_scalar_dense",
    "aten.item",
    "aten.is_nonzero",
    "aten.nonzero",
    "aten.nonzero_numpy",
    "aten.masked_select",
    "aten.equal",
    "aten.allclose",
    "aten._unique2",
    "aten.unique_consecutive",
    "aten.unique_dim",
    "aten.repeat_interleave",
    "aten.bincount",
}


# Methods that move a tensor to the host, which is nothing to do where it is there already.
MOVES = {"tolist", "cpu", "numpy", "__array__"}


class ForbidMoves(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        assert getattr(func, "__name__", "") not in MOVES, f"{func} reads the device"
        return func(*args, **(kwargs or {}))


class ForbidReads(TorchDispatchMode):
    """Fails where the operation of a thread would read the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket._qualified_op_name.replace("::", ".")
        indices = args[1] if name in ("aten.index", "aten.index_put", "aten.index_put_") else ()
        masks = [index for index in indices if index is not None and index.dtype in (torch.bool, torch.uint8)]
        assert name not in READS and not masks, f"{func} reads the device"
        return func(*args, **(kwargs or {}))


@contextmanager
def no_reads():
    with ForbidMoves(), ForbidReads():
        yield


EVERY = {"flip": 0.5, "crop_padding": 3, "erase": 0.5}
SWITCHES = {
    "plain": {},
    "augmented": {"augment": EVERY},
    "no clipping": {"augment": EVERY, "train": {"grad_clip": 0.0}},
    "micro-batches": {"augment": EVERY, "train": {"micro_batch": 4}},
    "bf16": {"augment": EVERY, "run": {"precision": "bf16"}},
}


def parts(tiny_set, tmp_path, pool, device, switches) -> Parts:
    tables = {
        "run": {"dir": str(tmp_path), "device": device, **switches.get("run", {})},
        "data": {"root": str(tiny_set), "image_size": (32, 32), "cache_gb": 0.0},
        "model": {"name": "RN-tiny"},
        "train": {"batch_size": 8, **switches.get("train", {})},
        "augment": switches.get("augment", {}),
    }
    return Parts(Profile.model_validate(tables), pool, None, lambda text: None, stop)


def train_some(made, number):
    pixels = torch.randint(0, 256, (8, 32, 32, 3), dtype=torch.uint8)
    made.step.set_progress(0.1 * number)
    made.train_on(np.arange(8) + number, pixels, 1, number)


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_a_training_batch_reads_nothing_back(tiny_set, tmp_path, switches):
    with ThreadPoolExecutor(1) as pool:
        made = parts(tiny_set, tmp_path, pool, "cpu", switches)
        with no_reads():
            for number in range(1, 4):
                train_some(made, number)
        assert len(made.step.read()) == 3


def test_fp16_with_its_scaler_reads_nothing_back():
    """On the CPU as well: the scaler hands its flag to the fused kernel."""
    from core.profile import Train
    from core.step import TrainStep

    step = TrainStep(
        torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 6)),
        torch.nn.Linear(6, 3),
        Train(),
        torch.device("cpu"),
        "fp16",
    )
    with no_reads():
        for _ in range(3):
            step(torch.rand(8, 3, 2, 2), torch.arange(8) % 3)
    assert len(step.read()) == 3


def test_the_watch_sees_what_it_forbids():
    values = torch.tensor([1.0, 0.0])
    weight = torch.ones(2, requires_grad=True)
    weight.register_hook(lambda gradient: gradient.sum().item())
    reads = [
        lambda: (weight * values).sum().backward(),
        lambda: values.sum().item(),
        lambda: bool(values.any()),
        lambda: values[values > 0],
        lambda: values.nonzero(),
        lambda: float(values[0]),
        lambda: values.tolist(),
        lambda: values.cpu(),
        lambda: values.numpy(),
    ]
    for read in reads:
        with pytest.raises(AssertionError, match="reads the device"), no_reads():
            read()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: its own check for synchronisation is CUDA's")
@pytest.mark.parametrize("switches", [*SWITCHES.values(), {"run": {"precision": "fp16"}}], ids=[*SWITCHES, "fp16"])
def test_cuda_finds_no_synchronisation(tiny_set, tmp_path, switches):
    with ThreadPoolExecutor(1) as pool:
        made = parts(tiny_set, tmp_path, pool, "cuda", switches)
        train_some(made, 1)  # libraries start, constants move, the optimizer makes its state
        torch.cuda.set_sync_debug_mode("error")
        try:
            told = []
            for number in range(2, 5):
                train_some(made, number)
                made.step.send()
                told += made.step.read(wait=False)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert len(told + made.step.read()) == 4
