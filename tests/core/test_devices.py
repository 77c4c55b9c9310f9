"""Device and autocast type, chosen or refused with the way out."""

from __future__ import annotations

import warnings
from contextlib import contextmanager

import pytest
import torch

from core.devices import choose_device, choose_precision, describe, products
from core.errors import ReidError

CPU = torch.device("cpu")
needs_no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def test_the_cpu_is_always_there():
    assert choose_device("cpu") == CPU
    assert describe(CPU).startswith("cpu (")
    assert choose_precision("auto", CPU) == "fp32"
    assert choose_precision("bf16", CPU) == "bf16"


@needs_no_cuda
@pytest.mark.parametrize("wish", ["cuda", "cuda:1"])
def test_a_device_that_is_not_there(wish):
    with pytest.raises(ReidError, match=f"run.device is {wish}, and torch sees no CUDA device; try"):
        choose_device(wish)


def test_fp16_needs_cuda():
    with pytest.raises(ReidError, match="needs CUDA"):
        choose_precision("fp16", CPU)


@pytest.mark.parametrize(("index", "chosen"), [(0, "fp16"), (1, "bf16")])
def test_the_half_type_is_that_of_the_device_that_trains(monkeypatch, index, chosen):
    current = [0]

    @contextmanager
    def made_current(device):
        current.append(device.index)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "device", made_current)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: current[-1] == 1)
    device = torch.device("cuda", index)
    assert choose_precision("auto", device) == chosen
    if chosen == "bf16":
        assert choose_precision("bf16", device) == "bf16"
    else:
        with pytest.raises(ReidError, match="which cuda:0 cannot compute; try `auto`"):
            choose_precision("bf16", device)


@needs_cuda
def test_auto_takes_cuda_and_a_half_type():
    device = choose_device("auto")
    assert device.type == "cuda"
    assert choose_precision("auto", device) in {"bf16", "fp16"}
    with pytest.raises(ReidError, match="torch sees"):
        choose_device("cuda:99")


@needs_cuda
def test_tf32_is_kept_to_the_passes_through_the_model():
    device = choose_device("cuda")
    left, right = (torch.randn(512, 512, device=device) for _ in range(2))
    exact = (left.double() @ right.double()).float()

    def error():
        return (left @ right - exact).abs().max().item()

    full = error()
    with products(device, tf32=False):
        assert error() == full
    with products(device, tf32=True):
        assert torch.backends.cudnn.allow_tf32
        assert error() > 5 * full or torch.cuda.get_device_capability(device) < (8, 0)
    assert error() == full, "what ranks embeddings is in full fp32"


def test_other_devices_know_no_tf32():
    before = torch.get_float32_matmul_precision()
    with products(CPU, tf32=True):
        assert torch.get_float32_matmul_precision() == before == "highest"


def test_the_setting_is_put_back_after_a_fault():
    """The flags are those of the process, and can be set on a machine without CUDA too."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for tf32 in (True, False):
            with pytest.raises(ZeroDivisionError), products(torch.device("cuda"), tf32=tf32):
                assert torch.get_float32_matmul_precision() == ("high" if tf32 else "highest")
                assert torch.backends.cudnn.allow_tf32 is tf32
                raise ZeroDivisionError
            assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before
