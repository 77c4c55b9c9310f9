"""Device and autocast type, chosen or refused with the way out."""

from __future__ import annotations

import pytest
import torch

from core.devices import choose_device, choose_precision, describe
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


@needs_cuda
def test_auto_takes_cuda_and_a_half_type():
    device = choose_device("auto")
    assert device.type == "cuda"
    assert choose_precision("auto", device) in {"bf16", "fp16"}
    with pytest.raises(ReidError, match="torch sees"):
        choose_device("cuda:99")
