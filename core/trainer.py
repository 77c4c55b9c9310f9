"""The trainer: cross-entropy and batch-hard triplet on open_clip's image encoder, the text encoder frozen.

Reads top to bottom: run, build, epochs, one epoch, validation, checkpoints.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from core.architectures import one_line
from core.batch_numbers import BatchNumbers
from core.checkpoint import Checkpoint
from core.control import RunControl
from core.data.store import decoding_threads
from core.data.unreadable import LeaveOut, stop
from core.data_wait import DataWait
from core.errors import DataError
from core.events import (
    Alert,
    CheckpointKind,
    EndReason,
    EpochFinished,
    EpochMetrics,
    Event,
    Level,
    LogLine,
    Paused,
    Progress,
    RunFinished,
    StopAfter,
    Stopping,
)
from core.log_text import left_out
from core.naming import build_filename
from core.parts import Parts
from core.profile import Profile
from core.samplers import single_image_identities
from core.saver import Saver
from core.step import NotFiniteError
from core.training_state import Position, TrainingState
from core.validation import EmbeddingsNotFiniteError, Retrieval, validate

DISPLAY_INTERVAL = 0.25  # seconds from one word for the screen to the next
FINAL_PAUSES = (1.0, 3.0, 6.0)  # seconds between attempts to save at the end what cannot be saved


class _StoppedWhileLoadingError(Exception):
    """Told to stop before there was anything to train."""


class Trainer:
    """One run. Knows nothing of who listens.

    Args:
        profile: what to train.
        folder: the run folder, absolute; it exists. Checkpoints go to `checkpoints/` in it.
        emit: gets every event, on the thread that calls `run`.
        control: looked at once per batch.
        resume: a LAST of this run, to go on from as if never interrupted.
        data_wait: is told when the training waits for images.
    """

    def __init__(
        self,
        profile: Profile,
        folder: Path,
        emit: Callable[[Event], None],
        control: RunControl | None = None,
        resume: Checkpoint | None = None,
        data_wait: DataWait | None = None,
    ) -> None:
        self.profile = profile
        self.folder = folder
        self.emit = emit
        self.control = control or RunControl()
        self.data_wait = data_wait or DataWait()
        # A run that goes on with more epochs keeps the names of its files.
        stem = str(resume.extra["resume"]["stem"]) if resume else build_filename(profile)
        self.saver = Saver(folder, stem, emit)
        self.state = TrainingState(profile.train.early_stop_patience)
        self._held: float = 0.0  # seconds of this epoch spent paused
        self._last_saved: float = time.monotonic()  # when LAST was saved
        self.resumed = resume
        self._told_to_stop: StopAfter | None = None  # as the listeners know it
        self.built = False  # whether all that is trained is where it is trained

    def run(self) -> RunFinished:
        """Train to an end, and give the event that says which; it is the last one emitted.

        Raises:
            ReidError: a folder, an image, a model or a device cannot be used. If training had begun, FINAL is saved.
        """
        started = time.monotonic()
        with ExitStack() as kept, ThreadPoolExecutor(decoding_threads(), "decode") as pool:
            reason: EndReason
            try:
                self.build(pool)
                kept.callback(self.parts.close)
            except _StoppedWhileLoadingError:
                reason, message = "stopped", f"{self.control.reason} while loading: there is nothing to save"
            else:
                reason, message = self.train()
        finished = RunFinished(
            time=time.time(),
            reason=reason,
            message=message,
            epoch=self.state.epochs_done,
            seconds=time.monotonic() - started,
            checkpoints=tuple(str(path) for path in self.saver.saved.values()),
            folder=str(self.folder),
            not_saved=self.saver.not_saved,
        )
        self.emit(finished)
        return finished

    def train(self) -> tuple[EndReason, str]:
        """All epochs, and FINAL at whatever end they come to: why, in a word and in a sentence."""
        try:
            reason, message = self.epochs()
            if self.state.last.left_out:
                message += f"; {left_out(self.state.last)} of epoch {self.state.epochs_done}"
        except (NotFiniteError, EmbeddingsNotFiniteError) as error:
            reason, message = "failed", self.explain_not_finite(error)
        except BaseException as error:
            try:
                self.save_final(f"failed: {error}")
            except RuntimeError as another:  # of a device that is lost; what went wrong first is what is told
                self.alert("error", "FINAL could not be saved", one_line(another))
            raise
        if reason == "stopped" and self.state.history:
            self.save("LAST", message)
        if not self.save_final(message, last=reason != "failed"):
            reason, message = "failed", f"{message}; FINAL could not be saved"
        return reason, message

    # ---- build

    def build(self, pool: ThreadPoolExecutor) -> None:
        """The parts, where a resumed run was in them, and `RunStarted`."""
        unreadable = LeaveOut(self.alert) if self.profile.data.unreadable_images == "leave-out" else stop
        self.parts = Parts(self.profile, pool, self.resumed, self.tell_unless_stopped, unreadable)
        if self.parts.changed:
            self.alert("warning", "The data have changed", self.parts.changed)
        if self.resumed:
            self.state.restore(self.resumed.extra["resume"], self.parts)
        if alone := single_image_identities(self.parts.data.train_ids.tolist()):
            self.alert("warning", "Identities with one image", f"{alone} identities have no positive but themselves")
        self.numbers = BatchNumbers(self.parts.step, self.state.position.sums)
        self.built = True
        resumed_epoch = self.state.epochs_done + 1 if self.resumed else 0
        self.emit(self.parts.describe(self.folder, resumed_epoch, self.state.position.batch))
        self.tell_patience()

    def tell_unless_stopped(self, text: str) -> None:
        if self.control.stopping_after_batch or self.control.stopping_after_epoch:
            raise _StoppedWhileLoadingError
        self.emit(LogLine(time.time(), "info", text))

    # ---- epochs

    def epochs(self) -> tuple[EndReason, str]:
        """The baseline, then epoch after epoch until one of the ends is reached: why, in a word and in a sentence."""
        train, control, state = self.profile.train, self.control, self.state
        if not state.history and not self.baseline():
            return "stopped", f"{control.reason} before the first epoch"
        while (done := state.epochs_done) < train.epochs:
            if state.out_of_patience:
                return "early-stop", f"no better Rank-1 for {train.early_stop_patience} epochs"
            if control.stopping_after_epoch:
                return "stopped", f"{control.reason} " + (f"after epoch {done}" if done else "before the first epoch")
            if end := self.one_epoch(done + 1):
                return end
        return "finished", "all epochs done" if train.epochs > 1 else "the epoch is done"

    def baseline(self) -> bool:
        """Validate before any training; False if told to stop meanwhile."""
        began = time.monotonic()
        retrieval = self.validation(0)
        if retrieval is None:
            return False
        self.finish_epoch(self.state.baseline_metrics(self.parts, retrieval, time.monotonic() - began - self._held))
        return True

    def one_epoch(self, epoch: int) -> tuple[EndReason, str] | None:
        """Train and validate; the reason and the words if the run is to end within the epoch."""
        position = self.state.position
        began, self._held = time.monotonic() - position.seconds, 0.0
        self.train_epoch(epoch, began)
        if self.control.stopping_after_batch:
            return "stopped", f"{self.control.reason} in epoch {epoch}, after batch {position.batch}"
        retrieval = None
        if epoch % self.profile.validation.every == 0 or epoch == self.profile.train.epochs:
            retrieval = self.validation(epoch)
            if retrieval is None:
                return "stopped", f"{self.control.reason} while validating epoch {epoch}"
        self.saver.save_best_again()
        self.finish_epoch(self.state.epoch_metrics(self.parts, retrieval, time.monotonic() - began - self._held))
        self.state.position = Position()
        self.save("LAST", f"end of epoch {epoch}", routine=True)
        return None

    def finish_epoch(self, metrics: EpochMetrics) -> None:
        """Take the metrics into the history; a better Rank-1 than any epoch's before saves BEST."""
        self.state.history.append(metrics)
        self.emit(EpochFinished(time.time(), metrics))
        if metrics is self.state.best:
            self.save("BEST", f"best Rank-1 at epoch {metrics.epoch}")
        if metrics.queries:
            self.tell_patience()

    def tell_patience(self) -> None:
        if patience := self.state.early_stopping():
            self.emit(patience)

    # ---- one epoch

    def train_epoch(self, epoch: int, began: float) -> None:
        """Train on from the position until the epoch or the run is to end.

        Raises:
            NotFiniteError: the loss was not finite; the weights are those before that batch.
            DataError: the epoch is done, and not one batch could be trained on.
        """
        order, position = self.parts.batches_of(epoch), self.state.position
        self.numbers = BatchNumbers(self.parts.step, position.sums)
        rest = order[position.batch :]
        images = self.data_wait.over(self.parts.train_images.batches(rest))
        batches = zip(rest, images, strict=True)
        for number, (wanted, (indices, pixels)) in enumerate(batches, position.batch + 1):
            self.parts.step.set_progress(epoch - 1 + (number - 0.5) / len(order))
            if len(indices) < len(wanted):
                position.left_out |= set(wanted.tolist()) - set(indices.tolist())
            if len(indices) < 2:  # batch normalisation cannot train on one image, and it has no triplet
                self.parts.step.pass_over()
            else:
                self.parts.train_on(indices, pixels, epoch, number)
            position.batch = number
            self.show(epoch, number, len(order))
            position.seconds = time.monotonic() - began - self._held
            with self.data_wait.apart():
                goes_on = self.obey(epoch)
            if not goes_on:
                break
        self.numbers.take()
        if position.batch == len(order) and not position.sums.images:
            lost = f"{len(position.left_out)} of {len(self.parts.train_images)} training images could not be read"
            raise DataError("Nothing to train on", f"{lost} in epoch {epoch}; is {self.parts.data.root} still there?")

    def show(self, epoch: int, number: int, batches: int) -> None:
        """Say how far the epoch is, when there are numbers to say it with."""
        window = self.numbers.look(DISPLAY_INTERVAL, last=number == batches)
        if window is None:
            return
        self.emit(
            Progress(
                time.time(),
                phase="train",
                epoch=epoch,
                done=number,
                total=batches,
                images_per_second=self.numbers.rate,
                loss=window.per_image("loss"),
                ce=window.per_image("ce"),
                triplet=window.per_image("triplet"),
                grad_norm=window.per_batch("grad_norm"),
                lr=self.parts.step.lr,
            )
        )

    def obey(self, epoch: int) -> bool:
        """Do what the control wishes for; False if the run is to stop now. Seconds spent here are not training time."""
        arrived = time.monotonic()
        if self.control.take_checkpoint():
            self.save("LAST", f"asked for in epoch {epoch}")
        elif arrived - self._last_saved >= 60 * self.profile.train.checkpoint_minutes:
            minutes = self.profile.train.checkpoint_minutes
            self.save("LAST", f"every {minutes:g} minutes, in epoch {epoch}", routine=True)
        if (after := self.control.stopping) and after != self._told_to_stop:
            self._told_to_stop = after
            self.emit(Stopping(time.time(), after, self.control.reason))
        if self.saver.is_due():
            self.save_again(f"in epoch {epoch}")
        if self.control.paused and not self.control.stopping_after_batch:
            self.emit(Paused(time.time(), paused=True))
            while self.control.paused and not self.control.stopping_after_batch:
                self.control.wait_while_paused()
                if self.control.take_checkpoint():
                    self.save("LAST", f"asked for in epoch {epoch}")
            self.emit(Paused(time.time(), paused=False))
        here = time.monotonic() - arrived
        self._held += here
        self.numbers.hold(here)
        return not self.control.stopping_after_batch

    # ---- validation

    def validation(self, epoch: int) -> Retrieval | None:
        """Metrics on the run's splits, or None if the run was told to stop meanwhile."""
        parts = self.parts
        total = len(parts.validation_images)
        seen = began = time.monotonic()
        held_before = self._held

        def tick(done: int) -> bool:
            nonlocal seen
            now = time.monotonic()
            if now - seen >= DISPLAY_INTERVAL or done == total:
                seconds = now - began - (self._held - held_before)
                self.emit(Progress(time.time(), "validate", epoch, done, total, done / max(seconds, 1e-9)))
                seen = now
            return self.obey(epoch)

        return validate(parts.model, parts.validation_images, parts.embed, self.profile.train.batch_size, tick)

    # ---- checkpoints and words

    def save(self, kind: CheckpointKind, reason: str, *, routine: bool = False, again: bool = False) -> bool:
        """Save the last good weights; False if it could not be done, which has been told."""
        resume = None
        if kind == "LAST":
            self._last_saved = time.monotonic()
            self.numbers.take()  # what a resumed run cannot ask the device for
            resume = self.state.resume_state(self.parts)
        return self.saver.save(kind, self.parts, self.state.last, reason, resume, routine=routine, again=again)

    def save_again(self, reason: str, *, last: bool = True) -> None:
        """Try again what could not be saved: BEST as it was, LAST as it is by now."""
        self.saver.save_best_again()
        if last and self.saver.lacks("LAST"):
            self.save("LAST", reason, again=True)

    def save_final(self, reason: str, *, last: bool = False) -> bool:
        """FINAL, and what could not be saved before: a few attempts, for somebody may be making room.

        Args:
            reason: why the run ends.
            last: whether it ended where a LAST can be taken: between two batches, with finite numbers.
        """
        saved = self.save("FINAL", reason)
        self.save_again(reason, last=last)
        for pause in FINAL_PAUSES:
            if saved and not self.saver.lacks("BEST") and not (last and self.saver.lacks("LAST")):
                break
            time.sleep(pause)
            saved = saved or self.save("FINAL", reason, again=True)
            self.save_again(reason, last=last)
        return saved

    def explain_not_finite(self, error: NotFiniteError | EmbeddingsNotFiniteError) -> str:
        advice = "Try a lower train.lr, or run.precision = 'fp32'"
        done, best = self.state.epochs_done, self.state.best
        if isinstance(error, NotFiniteError):
            batch = error.batch - sum(len(self.parts.batches_of(epoch)) for epoch in range(1, done + 1))
            place = f"epoch {done + 1}, batch {batch}"
            message = f"the loss was not finite in {place}; the weights are those from before it"
        elif not self.state.history:
            message, advice = f"{error}, before any training", "Check model.pretrained: the weights may be damaged"
        else:
            kept = f"BEST has the weights of epoch {best.epoch}" if best else "there is no BEST"
            message = f"{error}, after epoch {done + 1}: the training has diverged; {kept}"
        self.alert("error", "Numbers are not finite", f"{message}. {advice}")
        return message

    def alert(self, level: Level, title: str, message: str) -> None:
        self.emit(Alert(time.time(), level, title, message))
