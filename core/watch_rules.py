"""The rules of the watch. Every threshold has its reason beside it; an outage ends at another one than it begins at."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import fmean

from core.events import CheckpointSaved, EpochMetrics, Event, Gpu, Progress, RunStarted, System
from core.watch_outage import Finding, Usual

GIB = 2.0**30

USUAL_READINGS = 60  # a quarter of a minute on the screen's clock: short enough to follow a loss that falls
LEAST_READINGS = 20  # before these, the fast fall of the first batches is all there is
SPIKE_SPREADS = 12.0  # losses of small batches have long tails; five or six spreads are seen in healthy runs
SPIKE_FACTOR = 2.0  # of the usual: a loss that is steady to the third digit may double before it is worth a word
SPIKE_LEAST = 0.5  # above the usual: near zero, where it no longer matters, a loss doubles every other minute
SPIKE_OVER = 0.5  # of the way from the usual to the bar: back below this, the spike is over
GRADIENT_FACTOR = 10.0  # of the usual; single batches reach three to five times that in healthy runs
GRADIENT_LEAST = 1.0  # a norm below it cannot blow anything up, whatever it was before
GRADIENT_READINGS = 3  # in a row: one batch with a long gradient is clipped and forgotten
GRADIENT_OVER = 3.0  # of the usual
FLAT_EPOCHS = 5  # a warm-up or a plateau of two or three epochs is common
FLAT_FALL = 0.01  # of the loss: what falls by less in all those epochs would take hundreds more
FLAT_RISE = 0.2  # of the loss: what is so much higher does not rest, it diverges
FLAT_RANK1 = 0.5  # of training: above it the model has learned, and a loss may rest
FLAT_RANK1_OVER = 0.6
OVERFIT_RANK1 = 0.95  # of training: there is next to nothing left to learn from the images themselves
OVERFIT_RANK1_OVER = 0.9
OVERFIT_EPOCHS = 3  # validations that are averaged: one bad validation is noise
OVERFIT_FALL = 0.02  # in Rank-1; smaller ones are within what the seed does
OVERFIT_ERRORS = 2.0  # standard errors of a Rank-1 over so many queries
OVERFIT_OVER = 0.5  # of the fall
NO_TRIPLETS_PAIRS = 1.0  # of one identity, expected in a batch: where there are more, zero says that all are satisfied
NO_TRIPLETS_RANK1 = 0.9  # of training: above it the few there are may be satisfied
DATA_WAIT = 0.5  # of the training: half the time of the GPU is lost
DATA_WAIT_OVER = 0.3
GPU_BUSY = 0.5  # a GPU that is used more than this is not what waits
DATA_SECONDS = 30.0  # one slow file, or a checkpoint, is over by then
DATA_FIRST_SECONDS = 300.0  # the first epoch decodes what later ones find in memory
DATA_GAP = 60.0  # without a reading, a validation say, after which the seconds are counted anew
MEMORY_SHARE = 0.95  # fragments and cuDNN's workspaces easily take the rest
MEMORY_SHARE_OVER = 0.92
DISK_CHECKPOINTS = 3  # a new LAST is written beside the old one and the one before it
DISK_SHARE = 0.02  # of the disk, where other programs write as well …
DISK_SHARE_BYTES = 20 * GIB  # … unless it is so large that 2 % of it are plenty
DISK_OVER = 1.5  # times the bar


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB" if size >= 0.1 * GIB else f"{size / 2**20:.0f} MiB"


@dataclass
class LossSpike:
    """The training loss, far above what it was a quarter of a minute ago."""

    _usual: Usual = field(default_factory=lambda: Usual(USUAL_READINGS, LEAST_READINGS))
    _over: float = math.nan  # below this the spike is over; NaN: there is none

    def see(self, event: Progress) -> Finding:
        loss = event.loss
        if not math.isfinite(loss):
            return Finding("loss-spike", None)
        if not math.isnan(self._over):
            if loss >= self._over:
                return Finding("loss-spike", None)  # what is usual stays what it was before
            self._over = math.nan
        elif self._usual.known:
            middle, spread = self._usual.median_and_spread()
            bar = middle + max(SPIKE_SPREADS * spread, (SPIKE_FACTOR - 1) * abs(middle), SPIKE_LEAST)
            if loss > bar:
                self._over = middle + SPIKE_OVER * (bar - middle)
                words = (
                    f"{loss:.3g} in epoch {event.epoch}, where {middle:.3g} was usual. If it stays, or jumps again: "
                    "a lower train.lr, a longer train.warmup_epochs, or a smaller train.grad_clip"
                )
                return Finding("loss-spike", True, event.time, words)
        self._usual.add(loss)
        return Finding("loss-spike", False)


@dataclass
class Gradients:
    """The norm of the gradient, for several readings far above the usual."""

    _usual: Usual = field(default_factory=lambda: Usual(USUAL_READINGS, LEAST_READINGS))
    _high: int = 0  # readings in a row
    _since: float = math.nan
    _exploding: bool = False

    def see(self, event: Progress) -> Finding:
        norm = event.grad_norm
        if math.isnan(norm):
            return Finding("gradients", None)
        if not self._usual.known:
            self._usual.add(norm)
            return Finding("gradients", False)
        middle, _ = self._usual.median_and_spread()
        if norm > max(GRADIENT_FACTOR * middle, GRADIENT_LEAST):
            self._high += 1
            self._since = event.time if self._high == 1 else self._since
            if self._high < GRADIENT_READINGS or self._exploding:
                return Finding("gradients", None)
            self._exploding = True
            words = (
                f"its norm is {norm:.3g}, where {middle:.3g} was usual. A lower train.lr or a smaller train.grad_clip "
                "holds it; if the loss becomes infinite, the run ends, and the weights from before are saved"
            )
            return Finding("gradients", True, self._since, words)
        self._high = 0
        if self._exploding and norm > GRADIENT_OVER * middle:
            return Finding("gradients", None)
        self._exploding = False
        self._usual.add(norm)
        return Finding("gradients", False)


@dataclass
class LossFlat:
    """The loss of several epochs, no lower than before, while the model does not know its training images."""

    _rows: list[tuple[float, EpochMetrics]] = field(default_factory=list)

    def forget_from(self, epoch: int) -> None:
        self._rows = [(time, row) for time, row in self._rows if row.epoch < epoch]

    def remember(self, now: float, row: EpochMetrics) -> None:
        self._rows.append((now, row))

    def see(self, now: float, row: EpochMetrics) -> Finding:
        self.remember(now, row)
        losses = [old.loss for _, old in self._rows]
        if len(losses) <= FLAT_EPOCHS or not all(map(math.isfinite, losses[-FLAT_EPOCHS:])):
            return Finding("loss-flat", None)
        before = min((loss for loss in losses[:-FLAT_EPOCHS] if math.isfinite(loss)), default=math.inf)
        lately = min(losses[-FLAT_EPOCHS:])
        falls = lately < before - FLAT_FALL * abs(before)
        if falls or row.train_rank1 >= FLAT_RANK1_OVER:
            return Finding("loss-flat", False)
        if not row.train_rank1 < FLAT_RANK1:
            return Finding("loss-flat", None)
        if lately > before + FLAT_RISE * abs(before):
            advice = f"It was {before:.3g}: the training diverges. A lower train.lr, or a longer train.warmup_epochs"
        else:
            advice = (
                "A higher train.lr or train.classifier_lr_scale; and look whether the folders really hold one identity "
                "each"
            )
        words = (
            f"{row.loss:.3g} after epoch {row.epoch}, no better for {FLAT_EPOCHS} epochs, with a Rank-1 of "
            f"{100 * row.train_rank1:.0f} on the training images. {advice}"
        )
        return Finding("loss-flat", True, self._rows[-FLAT_EPOCHS][0], words)


@dataclass
class Overfitting:
    """Validation falls while the training images are known by heart."""

    _rows: list[tuple[float, EpochMetrics]] = field(default_factory=list)  # those with a validation

    def forget_from(self, epoch: int) -> None:
        self._rows = [(time, row) for time, row in self._rows if row.epoch < epoch]

    def remember(self, now: float, row: EpochMetrics) -> None:
        if not math.isnan(row.rank1):
            self._rows.append((now, row))

    def see(self, now: float, row: EpochMetrics) -> Finding:
        if math.isnan(row.rank1):
            return Finding("overfitting", None)
        self.remember(now, row)
        rates = [old.rank1 for _, old in self._rows]
        if len(rates) <= OVERFIT_EPOCHS or math.isnan(row.train_rank1):
            return Finding("overfitting", None)
        means = [fmean(rates[end - OVERFIT_EPOCHS : end]) for end in range(OVERFIT_EPOCHS, len(rates) + 1)]
        best = max(means)
        error = math.sqrt(max(best * (1 - best), 0.0) / max(row.queries, 1))
        bar = max(OVERFIT_FALL, OVERFIT_ERRORS * error)
        fall = best - means[-1]
        if fall < OVERFIT_OVER * bar or row.train_rank1 < OVERFIT_RANK1_OVER:
            return Finding("overfitting", False)
        if not (fall > bar and row.train_rank1 >= OVERFIT_RANK1 and rates[-1] < rates[-OVERFIT_EPOCHS - 1]):
            return Finding("overfitting", None)
        at = max(range(len(rates)), key=rates.__getitem__)
        words = (
            f"validation Rank-1 has fallen from {100 * rates[at]:.1f} in epoch {self._rows[at][1].epoch} to "
            f"{100 * rates[-1]:.1f}, with {100 * row.train_rank1:.0f} on the training images. BEST has the weights of "
            "the best epoch; fewer epochs, a lower train.lr or more train.weight_decay keep it from falling"
        )
        return Finding("overfitting", True, self._rows[at][0], words)


def _pairs_expected(started: RunStarted) -> float:
    """Pairs of images of one identity in a shuffled batch, if all identities have as many."""
    images, batch = started.train_images, started.batch_size
    others = images / max(started.identities, 1) - 1  # of the same identity
    return batch * (batch - 1) / 2 * others / max(images - 1, 1)


class NoTriplets:
    """A triplet loss of zero for a whole epoch: no batch has held two images of one identity."""

    def see(self, now: float, row: EpochMetrics, started: RunStarted) -> Finding:
        train = started.profile.get("train", {})
        # P x K batches hold positives by construction: there, zero says that all triplets are satisfied.
        unheard = train.get("sampler") == "pk" or train.get("triplet_weight") == 0
        if unheard or row.triplet > 0 or _pairs_expected(started) >= NO_TRIPLETS_PAIRS:
            return Finding("no-triplets", False)
        if not (row.triplet == 0 and row.train_rank1 < NO_TRIPLETS_RANK1):
            return Finding("no-triplets", None)
        words = (
            f"it was 0 in all of epoch {row.epoch}: batches of {started.batch_size} shuffled images, of "
            f"{started.identities} identities, hardly ever hold two of one. Launch anew with "
            'train.sampler = "pk" and train.images_per_identity = 4'
        )
        return Finding("no-triplets", True, now - row.seconds if math.isfinite(row.seconds) else now, words)


@dataclass
class DataSlow:
    """The training waits for images, and the GPU has nothing to do meanwhile."""

    epoch: int = 1
    first_epoch: int = 1  # of this process, whose images are not in memory yet
    _since: float = math.nan  # of the first of the bad readings
    _good_since: float = math.nan
    _last: float = math.nan

    def see(self, event: System, gpu: Gpu) -> Finding:
        if math.isnan(event.data_wait) or math.isnan(gpu.utilisation):
            return Finding("data-slow", None)
        if not event.time - self._last <= DATA_GAP:
            self._since = self._good_since = math.nan
        self._last = event.time
        if event.data_wait >= DATA_WAIT and gpu.utilisation < GPU_BUSY:
            self._since = event.time if math.isnan(self._since) else self._since
            self._good_since = math.nan
            needed = DATA_SECONDS if self.epoch > self.first_epoch else DATA_FIRST_SECONDS
            if event.time - self._since < needed:
                return Finding("data-slow", None)
            words = (
                f"{100 * event.data_wait:.0f} % of the time, with GPU {gpu.index} at {100 * gpu.utilisation:.0f} %. "
                f"Give the run more cores ({event.cpus:.3g} now) or memory to keep the images, put them on a local "
                "disk, or store them smaller; from the second epoch on, images that fit come from memory"
            )
            return Finding("data-slow", True, self._since, words)
        if event.data_wait >= DATA_WAIT_OVER and gpu.utilisation < GPU_BUSY:
            return Finding("data-slow", None)
        self._good_since = event.time if math.isnan(self._good_since) else self._good_since
        if event.time - self._good_since < DATA_SECONDS / 3:
            return Finding("data-slow", None)
        self._since = math.nan
        return Finding("data-slow", False)


class MemoryFull:
    """GPU memory that leaves no room for a larger batch of gradients."""

    def see(self, now: float, gpu: Gpu, started: RunStarted) -> Finding:
        share = gpu.memory_used / gpu.memory_total if gpu.memory_total else math.nan
        if share < MEMORY_SHARE_OVER:
            return Finding("gpu-memory", False)
        if not share > MEMORY_SHARE:
            return Finding("gpu-memory", None)
        words = (
            f"GPU {gpu.index} uses {_gib(gpu.memory_used)} of {_gib(gpu.memory_total)}. Should it run out, the run "
            f"ends: end other programs on it, or launch with a train.batch_size below {started.batch_size}"
        )
        return Finding("gpu-memory", True, now, words)


@dataclass
class DiskFull:
    """Too little room for the checkpoints to come."""

    _checkpoint: int = 0  # bytes of the largest so far

    def hear(self, event: Event) -> None:
        if isinstance(event, CheckpointSaved):
            self._checkpoint = max(self._checkpoint, event.size)

    def see(self, event: System) -> Finding:
        bar = max(
            float(DISK_CHECKPOINTS * self._checkpoint),
            min(DISK_SHARE * event.disk_total, DISK_SHARE_BYTES) if event.disk_total > 0 else 0.0,
        )
        if event.disk_free >= DISK_OVER * bar:
            return Finding("disk", False)
        if not event.disk_free < bar:
            return Finding("disk", None)
        each = f"; a checkpoint takes {_gib(self._checkpoint)}" if self._checkpoint else ""
        words = (
            f"{_gib(event.disk_free)} are free{each}. Make room: training goes on when it is full, but what cannot be "
            "saved by the end is lost"
        )
        return Finding("disk", True, event.time, words)
