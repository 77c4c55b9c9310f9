"""What `[train]` switches on in the image encoder: gradient checkpointing, torch.compile."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from core.architectures import one_line
from core.errors import ReidError
from core.model import ReidModel


def checkpoint_gradients(model: ReidModel) -> None:
    """Have the tower keep the inputs of its blocks alone, and compute the rest again in the backward pass.

    Raises:
        ReidError: the tower cannot.
    """
    # open_clip's ResNet takes the call and does nothing, and its wrapper of timm's towers hides that one refuses.
    tower = cast(Any, getattr(model.visual, "trunk", model.visual))
    try:
        if any(isinstance(module, _BatchNorm) for module in tower.modules()):
            raise ValueError("its batch normalisation must not see a batch twice")
        tower.set_grad_checkpointing(True)
    except Exception as error:  # timm's towers each have their own reasons
        raise ReidError(
            "Gradient checkpointing cannot be used",
            f"train.grad_checkpointing is true, and {model.open_clip_name} cannot do it: {one_line(error)}; set it to "
            "false. train.micro_batch saves memory with every model",
        ) from error


def compiled(model: ReidModel, device: torch.device, sizes: Collection[int]) -> Callable[[Tensor], Tensor]:
    """The model's forward pass, to be compiled when it is first called; the model itself stays as it is.

    One compilation for each size of a batch, so that a batch is computed the same way whatever came before it.

    Args:
        model: the model.
        device: where it is.
        sizes: of the usual batches. Others, from which images were left out, are computed as they always were: each
            would cost minutes, and torch gives up after a few.

    Raises:
        ReidError: nothing can be compiled for this device.
    """
    with compile_faults():
        torch.compile(lambda x: x.sin() + 1, dynamic=False)(torch.zeros(8, device=device))
    quick = cast(Callable[[Tensor], Tensor], torch.compile(model, dynamic=False))
    return lambda images: quick(images) if len(images) in sizes else model(images)


@contextmanager
def compile_faults() -> Iterator[None]:
    """What the compiler trips over is a ReidError; everything else goes by."""
    from torch._dynamo.exc import ShortenTraceback, TorchDynamoException
    from torch._inductor.exc import CppCompileError, InvalidCxxCompiler

    kinds = (TorchDynamoException, ShortenTraceback, CppCompileError, InvalidCxxCompiler)
    try:
        yield
    except kinds as error:
        if isinstance(inner := getattr(error, "inner_exception", None), torch.OutOfMemoryError):
            raise inner from error  # it was not the compiler's fault
        raise ReidError(
            "torch.compile cannot be used",
            f"train.compile is true, and compiling has failed: {one_line(error)}; set it to false, or install what is "
            "missing: g++ (the package `g++` or `build-essential`), on CUDA Triton and a C compiler as well",
        ) from error
