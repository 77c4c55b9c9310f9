"""Numbers on their way from the device to the host."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Fetched:
    """A tensor that is being copied to the host. On CUDA the copy takes its turn behind what the device has to do.

    To wait for it would leave the device without work until the host has found it some more; so one looks again later.
    Of other devices it is here at once, or `values` waits.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self._copied: torch.cuda.Event | None = None
        if tensor.is_cuda:
            self._tensor = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._tensor.copy_(tensor, non_blocking=True)
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record(torch.cuda.current_stream(tensor.device))

    @property
    def is_here(self) -> bool:
        """Whether `values` would not wait."""
        return self._copied is None or bool(self._copied.query())  # type: ignore[no-untyped-call]

    def values(self) -> Any:
        """As of `Tensor.tolist`."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._tensor.tolist()
