"""Text of others made harmless: nothing that it holds moves the cursor or turns the writing round."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import events
from core.events import EpochMetrics, Event
from core.log_text import log_text
from core.printable import clean, shown
from core.run_state import Past
from tests.core.test_events import STARTED

# What could do harm comes often; every other character comes as well.
_PIECES = [
    "\x1b",
    "\x1b[",
    "\x1b]0;",
    "\x1bP",
    "\x07",
    "\x1b\\",
    "\x9b31m",
    "\x9d",
    "\r",
    "\n",
    "\b",
    "\x7f",
    "\t",
    "\0",
]
_PIECES += ["31m", "2J", "\u202e", "\u2066", "\u200f", "\u061c", "\ufeff", "\u2028", "\u2029", "\x85", "\ud800", "a"]
hostile = st.lists(st.sampled_from(_PIECES) | st.text(max_size=3), max_size=12).map("".join)
anything = st.text(st.characters()) | hostile


def assert_harmless(line: str) -> None:
    for char in line:
        assert unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"}, repr(char)
        assert unicodedata.bidirectional(char) not in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
        assert char not in "\u061c\u200e\u200f\ufeff"
    line.encode()


@given(anything)
def test_clean_text_has_nothing_that_moves_the_cursor_or_turns_the_text(text: str) -> None:
    assert_harmless(clean(text))


@given(anything)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "M"])))
def test_words_stay_as_they_are(text: str) -> None:
    assert clean(text) == text


def test_clean_takes_escapes_out_and_shows_control_characters() -> None:
    assert clean("\x1b[1;31mred\x1b[0m \x1b]0;title\x07end\x07\tx") == "red end␇    x"
    assert clean("\x1b\x1b[31m[2Jx") == "[2Jx"  # what was inside makes no new one
    assert clean("a\rb\nc\x7f") == "a␍b␊c␡"


@given(anything)
def test_a_shown_name_is_one_printable_line(name: str) -> None:
    text = shown(name)
    assert text.isprintable()
    assert_harmless(text)


def test_a_shown_name_keeps_what_can_be_printed() -> None:
    assert shown("Übung 1 – 手.png") == "Übung 1 – 手.png"
    assert shown("a\x1b[2J\udcff\n") == "a\\x1b[2J\\udcff\\n"


@pytest.mark.parametrize("kind", [event.__name__ for event in Event.__subclasses__() if event is not Past])
@given(data=st.data())
def test_the_log_of_any_event_is_harmless_line_by_line(kind: str, data: st.DataObject) -> None:
    text = data.draw(hostile)
    event = {
        "RunStarted": lambda: events.RunStarted(
            **{name: text if isinstance(value, str) else value for name, value in vars(STARTED).items()}
        ),
        "Progress": lambda: events.Progress(1.0, "train", 1, 1, 2),
        "Cleared": lambda: events.Cleared(1.0, text, text),
        "System": lambda: events.System(1.0, (events.Gpu(0, text),)),
        "EpochFinished": lambda: events.EpochFinished(1.0, EpochMetrics(1, rank1=0.5, split=text, seconds=1.0)),
        "Patience": lambda: events.Patience(1.0, 1, 0.5, 0, 3),
        "CheckpointSaved": lambda: events.CheckpointSaved(1.0, "LAST", text, 1, text),
        "Paused": lambda: events.Paused(1.0, True),
        "Stopping": lambda: events.Stopping(1.0, "epoch", text),
        "Alert": lambda: events.Alert(1.0, "error", text, text),
        "LogLine": lambda: events.LogLine(1.0, "info", text),
        "RunFinished": lambda: events.RunFinished(
            1.0, data.draw(st.sampled_from(["stopped", "failed", "crashed"])), text, 1, 2.0, (text,), text
        ),
    }[kind]()
    if (logged := log_text(event)) is not None:
        for line in logged[1].split("\n"):
            assert_harmless(line)
