"""What a run can be told. Any thread may tell it; the training loop looks once per batch."""

from __future__ import annotations

import threading

from core.events import StopAfter


class RunControl:
    """Thread-safe wishes for a live run.

    The strongest stop wins: a stop after this batch is not weakened by a later stop after this epoch.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._stop_after_batch = False
        self._stop_after_epoch = False
        self._checkpoint = False
        self._paused = False
        self._reason = ""

    def stop_after_batch(self, reason: str = "stopped by the user") -> None:
        """End the run as soon as the batch in hand is done."""
        with self._changed:
            self._reason = self._reason or reason
            self._stop_after_batch = True
            self._changed.notify_all()

    def stop_after_epoch(self, reason: str = "stopped by the user") -> None:
        """End the run after this epoch and its validation. A paused run goes on, to get there."""
        with self._changed:
            self._reason = self._reason or reason
            self._stop_after_epoch = True
            self._paused = False
            self._changed.notify_all()

    def checkpoint(self) -> None:
        """Save the weights as they are after the batch in hand."""
        with self._changed:
            self._checkpoint = True
            self._changed.notify_all()

    def pause(self) -> None:
        """Hold the run after the batch in hand, unless it is about to stop."""
        with self._changed:
            self._paused = not (self._stop_after_batch or self._stop_after_epoch)

    def resume(self) -> None:
        """Go on after a pause."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    @property
    def stopping(self) -> StopAfter | None:
        """After what the run is to end; None: it is not."""
        return "batch" if self._stop_after_batch else "epoch" if self._stop_after_epoch else None

    @property
    def stopping_after_batch(self) -> bool:
        return self._stop_after_batch

    @property
    def stopping_after_epoch(self) -> bool:
        return self._stop_after_epoch

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def reason(self) -> str:
        """Why the run was told to stop; empty while it was not."""
        return self._reason

    def take_checkpoint(self) -> bool:
        """True once for each wish (several wishes before the loop looks count as one)."""
        with self._changed:
            wished, self._checkpoint = self._checkpoint, False
            return wished

    def wait_while_paused(self) -> None:
        """Block until there is something to do: the run goes on, stops, or a checkpoint is wished for."""
        with self._changed:
            self._changed.wait_for(lambda: not self._paused or self._stop_after_batch or self._checkpoint)
