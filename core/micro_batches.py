"""The gradient of a loss over a whole batch, with the memory of a part of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def parts_of(images: int, micro_batch: int) -> int:
    """Into how many parts a batch is cut, of nearly equal size, `micro_batch` images at the most; 0: it is one part.

    An odd batch in parts of 2 has one of 3: batch normalisation cannot train on an image alone.
    """
    return max(min(math.ceil(images / micro_batch), images // 2), 1) if micro_batch else 1


def sizes_of_parts(images: int, micro_batch: int) -> set[int]:
    """How many images a part of a batch may have."""
    parts = parts_of(images, micro_batch)
    return {images // parts, -(-images // parts)}


class LeafEmbeddings:
    """Embeddings of a batch, whose backward pass through the backbone is a second one, after that of the loss.

    The arguments and the attribute are as of `CachedEmbeddings`.
    """

    def __init__(self, forward: Callable[[Tensor], Tensor], images: Tensor) -> None:
        self._embedded = forward(images)
        self.embeddings = _leaf(self._embedded.detach())

    def backward(self) -> None:
        """Add the gradients of the backbone's parameters; the loss has been through `backward` before."""
        _go_on(self._embedded, self.embeddings.grad)


class CachedEmbeddings:
    """Embeddings of a batch whose backward pass goes through the backbone part by part.

    Gao et al., Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup, 2021, section 3: every part is
    embedded without a graph; the loss of all embeddings gives a gradient for each; every part is embedded again, and
    its gradients go on from there. What a backbone computes for an image alone has the gradient of the whole batch.
    Batch normalisation sees the images of a part; its running statistics take in each part once. Random numbers that a
    backbone draws (dropout) are the same both times.

    Args:
        forward: images (B, 3, H, W) to embeddings (B, D), with whatever autocast it needs.
        images: the whole batch.
        parts: how many parts it is cut into.
        buffers: of the backbone, that move in its forward pass.

    Attributes:
        embeddings: (B, D), fp32 or what is finer, a leaf whose gradient `backward` takes.
    """

    def __init__(
        self, forward: Callable[[Tensor], Tensor], images: Tensor, parts: int, buffers: Sequence[Tensor]
    ) -> None:
        self._forward = forward
        self._parts = images.tensor_split(parts)
        self._random: list[tuple[Tensor, Tensor | None]] = []  # before each part
        before = [buffer.clone() for buffer in buffers]
        embedded = []
        with torch.no_grad():
            for part in self._parts:
                self._random.append(_random_state(images.device))
                embedded.append(forward(part))
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
        self.embeddings = _leaf(torch.cat(embedded))

    def backward(self) -> None:
        """Add the gradients of the backbone's parameters; the loss has been through `backward` before."""
        assert self.embeddings.grad is not None
        gradients = self.embeddings.grad.tensor_split(len(self._parts))
        for part, gradient, random in zip(self._parts, gradients, self._random, strict=True):
            _set_random_state(random, part.device)
            _go_on(self._forward(part), gradient)


def _leaf(embedded: Tensor) -> Tensor:
    return embedded.to(torch.promote_types(embedded.dtype, torch.float32)).requires_grad_()


def _go_on(embedded: Tensor, gradient: Tensor | None) -> None:
    assert gradient is not None
    embedded.backward(gradient.to(embedded.dtype))  # type: ignore[no-untyped-call]


def _random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Of the CPU's generator and the device's own; held by the host, so that nothing waits for the device."""
    own = None
    if device.type == "cuda":
        own = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        own = torch.mps.get_rng_state()
    return torch.get_rng_state(), own


def _set_random_state(state: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    cpu, own = state
    torch.set_rng_state(cpu)
    if own is not None and device.type == "cuda":
        torch.cuda.set_rng_state(own, device)
    elif own is not None:
        torch.mps.set_rng_state(own)
