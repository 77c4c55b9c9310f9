"""One training step: forward, loss, backward, clip, Adam; and its numbers, kept on the device.

The host reads nothing back per batch. What the screen shows is kept on the device and sent for (`send`, `read`) a few
times a second. A loss that is not finite sets a flag on the device, and from that batch on the optimizer does nothing:
the weights are still the last good ones when the host comes to know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.devices import autocast, products
from core.fetched import Fetched
from core.losses import batch_hard_triplet
from core.micro_batches import CachedEmbeddings, LeafEmbeddings, parts_of
from core.profile import Train
from core.sums import TRAIN_RANKS, Sums

_HOPELESS = 40  # steps in a row that were skipped: the scale of the loss, 2^16 at first, is at 2^-24
_FUSED = {"cuda", "cpu"}  # where Adam has a kernel that can skip a step without asking the host


class NotFiniteError(ArithmeticError):
    """The loss or the gradient was NaN or infinite; `batch` counts from 1 since the step was made."""

    def __init__(self, batch: int) -> None:
        super().__init__(f"the loss or its gradient is not finite in batch {batch}")
        self.batch = batch


def lr_factor(epochs_done: float, train: Train) -> float:
    """Learning rate as a share of its full value, after `epochs_done` epochs: linear warm-up, then the schedule."""
    if epochs_done < train.warmup_epochs:
        return epochs_done / train.warmup_epochs
    if train.schedule == "constant":
        return 1.0
    left = max(train.epochs - train.warmup_epochs, 1e-9)
    return 0.5 * (1 + math.cos(math.pi * min((epochs_done - train.warmup_epochs) / left, 1.0)))


class TrainStep:
    """Adam on the backbone and the classifier.

    Args:
        backbone: images (B, 3, H, W) to embeddings (B, D); its parameters that require a gradient are trained.
        classifier: embeddings to logits (B, identities).
        train: hyperparameters.
        device: where both are.
        precision: `fp32`, `bf16` or `fp16`.
        tf32: whether products of fp32 numbers may be in TF32.
        forward: the backbone's forward pass, compiled; None: as it is.
    """

    def __init__(
        self,
        backbone: nn.Module,
        classifier: nn.Linear,
        train: Train,
        device: torch.device,
        precision: str,
        *,
        tf32: bool = False,
        forward: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.classifier, self.train = classifier, train
        self.device, self.precision, self.tf32 = device, precision, tf32
        self._backbone: Callable[[Tensor], Tensor] = backbone if forward is None else forward
        trained = [parameter for parameter in backbone.parameters() if parameter.requires_grad]
        self.parameters = [*trained, *classifier.parameters()]
        self.optimizer = torch.optim.Adam(
            [{"params": trained}, {"params": list(classifier.parameters())}],
            lr=train.lr,
            weight_decay=train.weight_decay,
            fused=device.type in _FUSED,
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        self._buffers = [buffer for buffer in backbone.buffers() if buffer.numel()]
        self._good_buffers = [buffer.clone() for buffer in self._buffers]
        self._batch = 0
        self._unread: list[Tensor] = []  # for each batch, a row of Sums and the flag
        self._fetched: Fetched | None = None  # such rows, on their way
        self._first_bad = torch.zeros((), device=device)  # number of the first batch that was not finite; 0: none
        self._skipped = torch.zeros((), device=device)  # steps in a row that the scaler has skipped
        self.set_progress(0.0)

    def set_progress(self, epochs_done: float) -> None:
        """Set both learning rates for the batch that comes after `epochs_done` epochs."""
        lr = self.train.lr * lr_factor(epochs_done, self.train)
        backbone, classifier = self.optimizer.param_groups
        backbone["lr"], classifier["lr"] = lr, lr * self.train.classifier_lr_scale

    @property
    def lr(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def classifier_lr(self) -> float:
        return float(self.optimizer.param_groups[1]["lr"])

    def __call__(self, images: Tensor, ids: Tensor) -> None:
        """Train on one batch.

        Args:
            images: (B, 3, H, W) on the device, as the backbone wants them.
            ids: (B,) identities on the device.

        Raises:
            NotFiniteError: only on devices whose Adam cannot skip a step by itself; elsewhere `read` raises it.
        """
        self._batch += 1
        self.optimizer.zero_grad(set_to_none=True)
        parts = parts_of(len(images), self.train.micro_batch)
        embedded: LeafEmbeddings | CachedEmbeddings
        with products(self.device, tf32=self.tf32):
            if parts > 1:
                embedded = CachedEmbeddings(self._embed, images, parts, self._buffers)
            else:
                embedded = LeafEmbeddings(self._embed, images)
        # Outside of TF32 and autocast, there and back: a distance between two embeddings that are near would be mostly
        # error, and so would be who is first among logits that are nearly equal.
        embeddings = embedded.embeddings
        logits = self.classifier(embeddings)
        ce = F.cross_entropy(logits, ids, label_smoothing=self.train.label_smoothing)
        triplet = batch_hard_triplet(embeddings, ids, self.train.triplet_margin)
        loss = ce + self.train.triplet_weight * triplet
        # fp16: from a bad batch on every gradient is made NaN, so that the scaler skips this and all later steps.
        poison: Tensor | float = 1.0
        if self.scaler.is_enabled():
            poison = torch.where(torch.isfinite(loss.detach()) & (self._first_bad == 0), 1.0, torch.nan)
        self.scaler.scale(loss * poison).backward()  # type: ignore[no-untyped-call]
        with products(self.device, tf32=self.tf32):
            embedded.backward()
        self.scaler.unscale_(self.optimizer)
        norm = self._clip()
        self._step(loss.detach(), norm)
        self._count(len(ids), loss.detach(), ce.detach(), triplet.detach(), logits.detach(), ids, norm)

    def pass_over(self) -> None:
        """Count a batch that nothing is learned from, so that the number of a batch tells its place in the run."""
        self._batch += 1

    def _embed(self, images: Tensor) -> Tensor:
        with autocast(self.device, self.precision):
            return self._backbone(images)

    def _clip(self) -> Tensor:
        """One norm over all parameters, in fp32, before clipping."""
        if self.train.grad_clip:
            return nn.utils.clip_grad_norm_(self.parameters, self.train.grad_clip)
        return nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])

    def _step(self, loss: Tensor, norm: Tensor) -> None:
        finite = torch.isfinite(norm)
        if self.scaler.is_enabled():  # with fp16, infinite gradients are the scaler's daily bread, but not for ever
            self._skipped = torch.where(finite, 0.0, self._skipped + 1)
            finite = self._skipped < _HOPELESS
        finite &= torch.isfinite(loss)
        newly_bad = torch.logical_and(~finite, self._first_bad == 0)
        self._first_bad = torch.where(newly_bad, float(self._batch), self._first_bad)
        if self.scaler.is_enabled():
            # Hands the flag to the fused kernel; with an Adam that is not fused it would ask the host, .item().
            self.scaler.step(self.optimizer)
            self.scaler.update()
        elif self.device.type in _FUSED:
            # The door that GradScaler uses: with `found_inf` set to 1 the fused kernel leaves everything as it is.
            self.optimizer.found_inf = (self._first_bad > 0).float()  # type: ignore[attr-defined]
            self.optimizer.step()
        else:
            self._raise_if_bad()
            self.optimizer.step()

    def _count(
        self, images: int, loss: Tensor, ce: Tensor, triplet: Tensor, logits: Tensor, ids: Tensor, norm: Tensor
    ) -> None:
        true = logits.gather(1, ids.unsqueeze(1))
        position = (logits >= true).sum(1)
        hits = [(position <= k).sum() for k in TRAIN_RANKS]
        norm = torch.where(torch.isfinite(norm), norm, 0.0)
        size = torch.full((), float(images), device=self.device)
        values = [size, size / images, loss * images, ce * images, triplet * images, *hits, norm, self._first_bad]
        self._unread.append(torch.stack([value.float() for value in values]))

    def send(self) -> bool:
        """Send for the numbers of the batches since, unless some are on their way; whether any are, then."""
        if self._fetched is None and self._unread:
            self._fetched = Fetched(torch.stack(self._unread))
            self._unread.clear()
            for good, buffer in zip(self._good_buffers, self._buffers, strict=True):
                good.copy_(torch.where(self._first_bad > 0, good, buffer))
        return self._fetched is not None

    def read(self, *, wait: bool = True) -> list[Sums]:
        """One row for each batch that was not told yet, in order.

        Args:
            wait: for all of them; else come those, if any, that were sent for and are here.

        Raises:
            NotFiniteError: a batch was not finite; the weights are as they were before it, and running statistics as
                they were when numbers were last sent for.
        """
        if not wait:
            return self._come() if self._fetched is not None and self._fetched.is_here else []
        self._raise_if_bad()
        rows = self._come()
        self.send()
        return rows + self._come()

    def _come(self) -> list[Sums]:
        rows, self._fetched = self._fetched.values() if self._fetched else [], None
        if any(bad for *_, bad in rows):
            self._raise_if_bad()
        return [Sums(*row) for *row, _ in rows]

    def state_dict(self) -> dict[str, object]:
        """What it takes to go on as if never interrupted: the optimizer, the scaler and the number of the batch."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "batch": self._batch,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave; the weights are restored elsewhere, and before."""
        optimizer = state["optimizer"]
        fused = [group["fused"] for group in self.optimizer.param_groups]  # as this device has it, not the other one
        groups = [{**group, "fused": here} for group, here in zip(optimizer["param_groups"], fused, strict=True)]
        self.optimizer.load_state_dict({**optimizer, "param_groups": groups})
        if state["scaler"]:  # empty where the run was not in fp16
            self.scaler.load_state_dict(dict(state["scaler"]))
        self._batch = int(state["batch"])
        for good, buffer in zip(self._good_buffers, self._buffers, strict=True):
            good.copy_(buffer)

    def keep_good(self) -> int:
        """Make the model fit to be saved, and tell the first batch that was not finite (0: all were).

        The weights always are: no step was made from that batch on. Running statistics move in the forward pass,
        before anybody knows; they go back to those of the last good look.
        """
        if bad := int(self._first_bad.item()):
            for good, buffer in zip(self._good_buffers, self._buffers, strict=True):
                buffer.copy_(good)
        return bad

    def _raise_if_bad(self) -> None:
        if bad := self.keep_good():
            raise NotFiniteError(bad)
