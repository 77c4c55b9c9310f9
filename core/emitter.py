"""Where the events of a run go: to the files of record and to who listens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from core.events import Event, RunFinished, System
from core.recorder import Recorder

END_PAUSES = (0.5, 1.0, 2.0)  # seconds between attempts to write the last lines, when files cannot be written


class Emitter:
    """To the files and to the screen, one event at a time: warnings come from decoding threads as well.

    An outage of the files is told once when it begins and once when it is over. `RunFinished` stays the last event,
    and says what is not in the files.
    """

    def __init__(self, recorder: Recorder, listen: Callable[[Event], None]) -> None:
        self.finished: RunFinished | None = None  # as it was told
        self._recorder = recorder
        self._listen = listen
        self._lock = threading.RLock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, RunFinished):
                self._end(event)
                return
            if self.finished is not None and isinstance(event, System):
                return  # it was taken while the run came to its end
            self._recorder(event)
            self._listen(event)
            self._tell_news()

    def _tell_news(self) -> None:
        if news := self._recorder.news():
            self._recorder(news)
            self._listen(news)

    def _end(self, event: RunFinished) -> None:
        for pause in END_PAUSES:
            if self._recorder.flush():
                break
            time.sleep(pause)
        else:
            self._recorder.flush()
        self._tell_news()
        finished = replace(event, not_saved=(*event.not_saved, *self._recorder.not_saved))
        self._recorder(finished)  # where even this does not go in, at least the screen knows
        self.finished = replace(event, not_saved=(*event.not_saved, *self._recorder.not_saved))
        self._listen(self.finished)
