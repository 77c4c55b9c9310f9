"""What a person asks of a run: to save, pause, stop, go on elsewhere or be left; and the questions before that."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from core.run_state import RunState
from reid_tui.event_queue import Run
from reid_tui.run_queue import RunQueue
from reid_tui.screens.chart_keys import Base
from reid_tui.screens.dialogs import QUIT, ChoiceDialog, detach_dialog, drop_queue_dialog, quit_dialog, stop_dialog

SAID_SECONDS = 4.0  # how long an answer stays in the status line
HANDED_OVER = "handed over to a process of its own"


class RunAsks(Base):
    """Mixed into the dashboard."""

    live: Run
    state: RunState
    queue: RunQueue
    handed_over = False  # to a process of its own, as soon as it has stopped in this one
    _wishes: dict[str, str]  # what was asked for and is not done yet, in words
    _dialog: ChoiceDialog | None = None

    @abstractmethod
    def show_all(self) -> None:
        """Draw what has changed."""

    @property
    def run_is_live(self) -> bool:
        return self.live.alive and self.live.finished is None

    @property
    def wish(self) -> str:
        """What was asked for last and is not done yet, as the status line has it."""
        return next(
            (self._wishes[name] for name in ("said", "stop", "pause", "checkpoint") if name in self._wishes), ""
        )

    def wished(self, name: str, text: str) -> None:
        self._wishes[name] = text
        self.show_all()

    def say_for_a_while(self, text: str) -> None:
        """In the status line: a toast would cover the panels."""

        def forget() -> None:
            if self._wishes.get("said") == text:
                self._wishes.pop("said")
                self.show_all()

        self.wished("said", text)
        self.set_timer(SAID_SECONDS, forget)

    def action_checkpoint(self) -> None:
        self.live.control.checkpoint()
        self.wished("checkpoint", "saving a checkpoint after this batch …")

    def action_pause(self) -> None:
        control = self.live.control
        if control.paused:
            control.resume()
            if self.state.paused:
                self.wished("pause", "going on …")
            else:  # it had not come to the pause yet
                self._wishes.pop("pause", None)
                self.show_all()
        else:
            control.pause()
            if control.paused:
                self.wished("pause", "pausing after this batch …")
            else:
                self.say_for_a_while(f"■ not paused: the run {self._stopping}")

    @property
    def _stopping(self) -> str:
        """What the run will do by itself, as the end of a sentence."""
        control = self.live.control
        if control.stopping_after_batch:
            return "is about to stop"
        return "stops after this epoch" if control.stopping_after_epoch else "goes on"

    def action_stop(self) -> None:
        if self.live.control.stopping_after_batch:
            self.say_for_a_while(f"■ the run {self._stopping}")
        else:
            epoch = self.live.control.stopping_after_epoch
            self._ask(stop_dialog(self._stopping, built=self.live.built, after_epoch=not epoch), self._stop_chosen)

    def _ask(self, dialog: ChoiceDialog, answered: Callable[[str | None], None]) -> None:
        self._dialog = dialog
        self.app.push_screen(dialog, answered)

    @property
    def asks_to_quit(self) -> bool:
        """Whether the question that `q` asks is on the screen."""
        return self._dialog is not None and self._dialog.is_current and self._dialog.id == QUIT

    def _stop_chosen(self, choice: str | None) -> None:
        if self.state.finished is not None or not choice:
            return
        if choice == "epoch":
            self.live.control.stop_after_epoch()
            if not self.live.control.stopping_after_batch:
                self.wished("stop", "■ stopping after this epoch …")
        else:
            self.live.control.stop_after_batch()
            batch = "after this batch, then saving FINAL" if self.live.built else "as soon as model and data are loaded"
            self.wished("stop", f"■ stopping {batch} …")
        self._wishes.pop("pause", None)

    async def action_detach(self) -> None:
        """Leave the screen, and let the run go on: one in this process goes over to a process of its own."""
        if self.live.attached:
            await self.action_leave()
        elif not self.live.built:
            self.say_for_a_while("still loading: it can be left once it trains")
        elif self.live.control.stopping:
            self.say_for_a_while(f"■ the run {self._stopping}")
        else:
            self._ask(detach_dialog(len(self.queue.waiting), held=self.queue.held), self._detach_chosen)

    def _detach_chosen(self, choice: str | None) -> None:
        if choice == "detach" and self.run_is_live:
            self.handed_over = True
            self.live.control.stop_after_batch(HANDED_OVER)
            self.app.exit()

    async def action_leave(self) -> None:
        if self.run_is_live and not self.live.attached:
            waiting, built = len(self.queue.waiting), self.live.built
            can_detach = built and not self.live.control.stopping and not (waiting and self.queue.held)
            self._ask(
                quit_dialog(self._stopping, built=built, waiting=waiting, can_detach=can_detach), self._quit_chosen
            )
        elif self.queue.waiting:
            self._ask(drop_queue_dialog(len(self.queue.waiting), live=self.run_is_live), self._drop_chosen)
        else:
            await self.app.action_quit()  # which asks if another run is live in this process

    def _drop_chosen(self, choice: str | None) -> None:
        if choice == "quit":
            self.app.exit()

    def _quit_chosen(self, choice: str | None) -> None:
        if choice == "quit":
            self.live.control.stop_after_batch()
            self.app.exit()
        else:
            self._detach_chosen(choice)
