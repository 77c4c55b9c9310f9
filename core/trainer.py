"""The trainer: cross-entropy and batch-hard triplet on open_clip's image encoder, the text encoder frozen.

Reads top to bottom: build, epochs, one epoch, validation, checkpoints, the end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor, nn

from core.checkpoint import save_checkpoint
from core.control import RunControl
from core.data.store import ImageStore, MemoryBudget, decoding_threads
from core.dataset import read_dataset
from core.devices import choose_device, choose_precision, describe
from core.events import (
    Alert,
    CheckpointKind,
    CheckpointSaved,
    EndReason,
    EpochFinished,
    EpochMetrics,
    Event,
    Level,
    LogLine,
    Patience,
    Paused,
    Phase,
    Progress,
    RunFinished,
    RunStarted,
)
from core.model import build_model
from core.naming import build_filename
from core.profile import Profile
from core.samplers import Batches, pk_batches, shuffle_batches, single_image_identities
from core.step import NotFiniteError, Sums, TrainStep, autocast, moved, on_device
from core.validation import EmbeddingsNotFiniteError, Retrieval, ValidationImages, validate

DISPLAY_INTERVAL = 0.25  # seconds between two readings of the device for the screen
RATE_MEMORY = 3.0  # seconds over which the displayed speed is smoothed


class _StoppedWhileLoadingError(Exception):
    """Told to stop before there was anything to train."""


class Trainer:
    """One run. Knows nothing of who listens.

    Args:
        profile: what to train.
        folder: the run folder, absolute; it exists. Checkpoints go to `checkpoints/` in it.
        emit: gets every event, on the thread that calls `run`.
        control: looked at once per batch.
    """

    def __init__(
        self, profile: Profile, folder: Path, emit: Callable[[Event], None], control: RunControl | None = None
    ) -> None:
        self.profile = profile
        self.folder = folder
        self.emit = emit
        self.control = control or RunControl()
        self.stem = build_filename(profile)
        self.history: list[EpochMetrics] = []
        self.best: EpochMetrics | None = None
        self.saved: dict[CheckpointKind, Path] = {}
        self._seen: float = 0.0  # when the device was last read
        self._held: float = 0.0  # seconds of this epoch spent paused
        self._rate: float = math.nan  # images per second, smoothed

    def run(self) -> RunFinished:
        """Train to an end, and give the event that says which; it is the last one emitted.

        Raises:
            ReidError: a folder, an image, a model or a device cannot be used. If training had begun, FINAL is saved.
        """
        started = time.monotonic()
        with ThreadPoolExecutor(decoding_threads(), "decode") as pool:
            reason: EndReason
            try:
                self.build(pool)
            except _StoppedWhileLoadingError:
                reason, message = "stopped", f"{self.control.reason} while loading: there is nothing to save"
            else:
                reason, message = self.train()
        finished = RunFinished(
            time=time.time(),
            reason=reason,
            message=message,
            epoch=self.epochs_done,
            seconds=time.monotonic() - started,
            checkpoints=tuple(str(path) for path in self.saved.values()),
            folder=str(self.folder),
        )
        self.emit(finished)
        return finished

    def train(self) -> tuple[EndReason, str]:
        """All epochs, and FINAL at whatever end they come to: why, in a word and in a sentence."""
        try:
            reason, message = self.epochs()
        except (NotFiniteError, EmbeddingsNotFiniteError) as error:
            reason, message = "failed", self.explain_not_finite(error)
        except BaseException as error:
            self.save("FINAL", f"failed: {error}")
            raise
        if not self.save("FINAL", message):
            reason, message = "failed", f"{message}; FINAL could not be saved"
        return reason, message

    # ---- build

    def build(self, pool: ThreadPoolExecutor) -> None:
        """Data, model, optimizer, in the order in which they are quick to fail; then `RunStarted`."""
        profile = self.profile
        torch.manual_seed(profile.run.seed)
        self.device = choose_device(profile.run.device)
        self.precision = choose_precision(profile.run.precision, self.device)
        self.log("reading the folders of the data set")
        self.data = read_dataset(profile)
        self.stop_while_loading()
        self.log(f"building {profile.model.name}")
        self.model = build_model(profile.model, profile.data.image_size).to(self.device)
        self.stop_while_loading()
        self.classifier = nn.Linear(self.model.embedding_dim, len(self.data.identity_names)).to(self.device)
        self.step = TrainStep(self.model, self.classifier, profile.train, self.device, self.precision)
        normalized = profile.data.normalize == "clip"
        self.mean = self.model.mean if normalized else None
        self.std = self.model.std if normalized else None
        size = profile.data.image_size
        budget = MemoryBudget()
        self.train_images = ImageStore(self.data.train.paths, size, pool, budget)
        self.validation_images = ValidationImages(self.data.splits, size, pool, budget)
        if alone := single_image_identities(self.data.train_ids.tolist()):
            self.alert("warning", "Identities with one image", f"{alone} identities have no positive but themselves")
        self.emit(self.describe())

    def stop_while_loading(self) -> None:
        if self.control.stopping_after_batch or self.control.stopping_after_epoch:
            raise _StoppedWhileLoadingError

    def describe(self) -> RunStarted:
        profile, data = self.profile, self.data
        return RunStarted(
            time=time.time(),
            run=self.folder.name,
            name=profile.run.name,
            folder=str(self.folder),
            model=self.model.open_clip_name,
            pretrained=profile.model.pretrained,
            dataset=profile.data.dataset,
            aspect=profile.data.aspect,
            image_size=profile.data.image_size,
            device=describe(self.device),
            precision=self.precision,
            epochs=profile.train.epochs,
            batch_size=profile.train.batch_size,
            batches_per_epoch=len(self.batches_of(1)),
            identities=len(data.identity_names),
            train_images=len(data.train.paths),
            query_images=sum(len(split.query) for split in data.splits),
            gallery_images=sum(len(split.gallery) for split in data.splits),
            patience=profile.train.early_stop_patience,
            validated_on=data.validated_on,
            profile=profile.tables(),
        )

    # ---- epochs

    def epochs(self) -> tuple[EndReason, str]:
        """The baseline, then epoch after epoch until one of the ends is reached: why, in a word and in a sentence."""
        train = self.profile.train
        began = time.monotonic()
        baseline = self.validation(0)
        if baseline is not None:
            seconds = time.monotonic() - began - self._held
            self.finish_epoch(EpochMetrics(0, **vars(baseline), split=self.data.split, seconds=seconds))
        if baseline is None or self.control.stopping_after_epoch:
            return "stopped", f"{self.control.reason} before the first epoch"
        for epoch in range(1, train.epochs + 1):
            began, self._held = time.monotonic(), 0.0
            sums, speed = self.train_epoch(epoch)
            if self.control.stopping_after_batch:
                return "stopped", f"{self.control.reason} in epoch {epoch}, after batch {int(sums.batches)}"
            retrieval = None
            if validated := epoch % self.profile.validation.every == 0 or epoch == train.epochs:
                retrieval = self.validation(epoch)
                if retrieval is None:
                    return "stopped", f"{self.control.reason} while validating epoch {epoch}"
            self.finish_epoch(self.metrics(epoch, sums, speed, retrieval, time.monotonic() - began - self._held))
            if epoch == train.epochs:
                break
            if validated and self.out_of_patience(epoch):
                return "early-stop", f"no better Rank-1 for {train.early_stop_patience} epochs: stopped early"
            if self.control.stopping_after_epoch:
                return "stopped", f"{self.control.reason} after epoch {epoch}"
        return "finished", "all epochs done" if train.epochs > 1 else "the epoch is done"

    def metrics(
        self, epoch: int, sums: Sums, speed: float, retrieval: Retrieval | None, seconds: float
    ) -> EpochMetrics:
        return EpochMetrics(
            epoch=epoch,
            loss=sums.per_image("loss"),
            ce=sums.per_image("ce"),
            triplet=sums.per_image("triplet"),
            train_rank1=sums.per_image("hits1"),
            train_rank5=sums.per_image("hits5"),
            train_rank10=sums.per_image("hits10"),
            lr=self.step.lr,
            classifier_lr=self.step.classifier_lr,
            grad_norm=sums.per_batch("grad_norm"),
            images_per_second=speed,
            seconds=seconds,
            **({**vars(retrieval), "split": self.data.split} if retrieval else {}),
        )

    def finish_epoch(self, metrics: EpochMetrics) -> None:
        """Take the metrics into the history; a better Rank-1 than any epoch's before saves BEST.

        The baseline does not compete: BEST is a fine-tuned model, and patience starts with the first epoch.
        """
        self.history.append(metrics)
        self.emit(EpochFinished(time.time(), metrics))
        if metrics.epoch == 0 or metrics.queries == 0:
            return
        if self.best is None or metrics.rank1 > self.best.rank1:
            self.best = metrics
            self.save("BEST", f"best Rank-1 at epoch {metrics.epoch}")
        self.emit(
            Patience(
                time.time(),
                best_epoch=self.best.epoch,
                best_rank1=self.best.rank1,
                epochs_since_best=metrics.epoch - self.best.epoch,
                patience=self.profile.train.early_stop_patience,
            )
        )

    def out_of_patience(self, epoch: int) -> bool:
        patience = self.profile.train.early_stop_patience
        return bool(patience and self.best and epoch - self.best.epoch >= patience)

    @property
    def epochs_done(self) -> int:
        return self.history[-1].epoch if self.history else 0

    # ---- one epoch

    def batches_of(self, epoch: int) -> Batches:
        train, seed = self.profile.train, self.profile.run.seed
        if train.sampler == "pk":
            ids = self.data.train_ids.tolist()
            return pk_batches(ids, train.batch_size, train.images_per_identity, seed, epoch)
        return shuffle_batches(len(self.data.train_ids), train.batch_size, seed, epoch)

    def train_epoch(self, epoch: int) -> tuple[Sums, float]:
        """Train until the epoch or the run is to end: sums over the epoch so far, and images per second.

        Raises:
            NotFiniteError: the loss was not finite; the weights are those before that batch.
        """
        order = self.batches_of(epoch)
        sums, began, self._rate = Sums(), time.monotonic(), math.nan
        self._seen = began
        for number, (indices, pixels) in enumerate(self.train_images.batches(order), 1):
            self.step.set_progress(epoch - 1 + (number - 0.5) / len(order))
            ids = moved(torch.from_numpy(self.data.train_ids[indices]), self.device)
            self.step(on_device(pixels, self.device, self.mean, self.std), ids)
            if time.monotonic() - self._seen >= DISPLAY_INTERVAL or number == len(order):
                self.show(epoch, number, len(order), sums)
            if not self.obey(epoch):
                break
        for batch in self.step.read():
            sums.add(batch)
        return sums, sums.images / max(time.monotonic() - began - self._held, 1e-9)

    def show(self, epoch: int, number: int, batches: int, sums: Sums) -> None:
        """Read the device, and say how far the epoch is."""
        batches_read = self.step.read()
        now = time.monotonic()
        for batch in batches_read:
            sums.add(batch)
        window = Sums.over(batches_read)
        self.emit(
            Progress(
                time.time(),
                phase="train",
                epoch=epoch,
                done=number,
                total=batches,
                images_per_second=self.smoothed_rate(window.images, now - self._seen),
                loss=window.per_image("loss"),
                ce=window.per_image("ce"),
                triplet=window.per_image("triplet"),
                grad_norm=window.per_batch("grad_norm"),
                lr=self.step.lr,
            )
        )
        self._seen = now

    def smoothed_rate(self, images: float, seconds: float) -> float:
        """Images per second over about the last RATE_MEMORY seconds: one reading holds a batch or two."""
        rate = images / max(seconds, 1e-9)
        weight = 1.0 if math.isnan(self._rate) else 1 - math.exp(-seconds / RATE_MEMORY)
        self._rate = rate if weight == 1.0 else self._rate + weight * (rate - self._rate)
        return self._rate

    def obey(self, epoch: int) -> bool:
        """Do what the control wishes for; False if the run is to stop now. Seconds spent here are not training time."""
        arrived = time.monotonic()
        if self.control.take_checkpoint():
            self.save("LAST", f"asked for in epoch {epoch}")
        if self.control.paused and not self.control.stopping_after_batch:
            self.emit(Paused(time.time(), paused=True))
            while self.control.paused and not self.control.stopping_after_batch:
                self.control.wait_while_paused()
                if self.control.take_checkpoint():
                    self.save("LAST", f"asked for in epoch {epoch}")
            self.emit(Paused(time.time(), paused=False))
        here = time.monotonic() - arrived
        self._held += here
        self._seen += here
        return not self.control.stopping_after_batch

    # ---- validation

    def validation(self, epoch: int) -> Retrieval | None:
        """Metrics on the run's splits, or None if the run was told to stop meanwhile."""
        total = len(self.validation_images)
        self._seen = began = time.monotonic()
        held_before = self._held

        def tick(done: int) -> bool:
            now = time.monotonic()
            if now - self._seen >= DISPLAY_INTERVAL or done == total:
                seconds = now - began - (self._held - held_before)
                self.progress("validate", epoch, done, total, done / max(seconds, 1e-9))
                self._seen = now
            return self.obey(epoch)

        return validate(self.model, self.validation_images, self.embed, self.profile.train.batch_size, tick)

    def embed(self, pixels: Tensor) -> Tensor:
        """(B, H, W, 3) uint8 on the CPU to (B, D) fp32 embeddings on the device."""
        with autocast(self.device, self.precision):
            embeddings: Tensor = self.model(on_device(pixels, self.device, self.mean, self.std))
        return embeddings.float()

    # ---- checkpoints and words

    def save(self, kind: CheckpointKind, reason: str) -> bool:
        """Save the last good weights; a file that cannot be written (disk full) is an alert, and training goes on."""
        self.step.keep_good()
        path = self.folder / "checkpoints" / f"{self.stem}_{kind}.pth"
        row = self.history[-1] if self.history else EpochMetrics(0)
        try:
            path.parent.mkdir(exist_ok=True)
            save_checkpoint(
                path,
                self.model,
                self.classifier,
                identity_names=self.data.identity_names,
                profile=self.profile.tables(),
                epoch=row.epoch,
                metrics={name: value for name, value in vars(row).items() if not isinstance(value, str)},
                reason=reason,
                extra={"validated_on": self.data.validated_on},
            )
        except OSError as error:
            self.alert("error", f"{kind} could not be saved", f"{path}: {error.strerror or error}")
            return False
        self.saved[kind] = path
        self.emit(CheckpointSaved(time.time(), kind=kind, path=str(path), epoch=row.epoch))
        return True

    def explain_not_finite(self, error: NotFiniteError | EmbeddingsNotFiniteError) -> str:
        advice = "Try a lower train.lr, or run.precision = 'fp32'"
        if isinstance(error, NotFiniteError):
            batch = error.batch - sum(len(self.batches_of(epoch)) for epoch in range(1, self.epochs_done + 1))
            place = f"epoch {self.epochs_done + 1}, batch {batch}"
            message = f"the loss was not finite in {place}; the weights are those from before it"
        elif not self.history:
            message, advice = f"{error}, before any training", "Check model.pretrained: the weights may be damaged"
        else:
            kept = f"BEST has the weights of epoch {self.best.epoch}" if self.best else "there is no BEST"
            message = f"{error}, after epoch {self.epochs_done + 1}: the training has diverged; {kept}"
        self.alert("error", "Numbers are not finite", f"{message}. {advice}")
        return message

    def progress(self, phase: Phase, epoch: int, done: int, total: int, images_per_second: float) -> None:
        self.emit(Progress(time.time(), phase, epoch, done, total, images_per_second))

    def alert(self, level: Level, title: str, message: str) -> None:
        self.emit(Alert(time.time(), level, title, message))

    def log(self, text: str) -> None:
        self.emit(LogLine(time.time(), "info", text))
