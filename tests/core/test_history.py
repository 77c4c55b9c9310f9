"""The past of a run as a state: the same as all of its events come to, wherever it was kept and whatever was torn."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import event_file, events, history, run_state, state_file
from core.event_file import EventFile
from core.events import Event, LogLine, from_json, to_json
from core.history import History, read_history
from core.run_state import RunState, fold
from core.state_file import NAME, read_state, write_state
from tests.core.test_events import ALL, STARTED
from tests.run_folders import make_run, say

NUMBERS = st.floats(-1e3, 1e3) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0])
TIMES = st.floats(0, 1e10)
FEW = st.integers(0, 6)
WORDS = st.text(max_size=5)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(lambda time, epoch, batch: _started(time, epoch, batch), TIMES, FEW, FEW),
    st.builds(
        events.Progress, TIMES, st.sampled_from(["prepare", "train", "validate"]), FEW, FEW, FEW, *[NUMBERS] * 6
    ),
    st.builds(
        events.Progress, TIMES, st.just("train"), st.integers(1, 6), st.integers(1, 6), st.just(6), *[NUMBERS] * 6
    ),
    st.builds(
        lambda time, epoch, rank1, split: events.EpochFinished(
            time, events.EpochMetrics(epoch, rank1=rank1, split=split, seconds=1.0)
        ),
        TIMES, FEW, NUMBERS, WORDS,
    ),
    st.builds(events.Patience, TIMES, FEW, NUMBERS, FEW, FEW),
    st.builds(events.CheckpointSaved, TIMES, st.sampled_from(["LAST", "BEST", "FINAL"]), WORDS, FEW),
    st.builds(events.Paused, TIMES, st.booleans()),
    st.builds(events.Stopping, TIMES, st.sampled_from(["batch", "epoch"]), WORDS),
    st.builds(events.Alert, TIMES, st.just("warning"), WORDS, WORDS, st.sampled_from(["", "disk", "loss-spike"])),
    st.builds(events.Cleared, TIMES, st.sampled_from(["disk", "loss-spike"]), WORDS),
    st.builds(lambda time, cpu: events.System(time, (events.Gpu(0, "H100"),), cpu), TIMES, NUMBERS),
    st.builds(LogLine, TIMES, st.just("info"), WORDS),
    st.builds(events.RunFinished, TIMES, st.just("stopped"), WORDS, FEW, NUMBERS, st.tuples(WORDS)),
)  # fmt: skip


def _started(time: float, epoch: int, batch: int) -> Event:
    return from_json(json.dumps({**json.loads(to_json(STARTED)), "time": time, "resumed_epoch": epoch,
                                 "resumed_batch": batch}))  # fmt: skip


def all_of(folder: Path) -> RunState:
    """What every event of a folder comes to, without anything that was kept."""
    file, state = EventFile(folder / "events.jsonl"), RunState()
    while some := file.read():
        reduce(fold, some, state)
    return state


@pytest.fixture
def kept_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEEP_EVERY", 1)


@contextmanager
def small_bounds() -> Iterator[None]:
    """A few events reach them, and every reader keeps what it has read."""
    with pytest.MonkeyPatch.context() as patch:
        for name, bound in (("LOSS_POINTS_KEPT", 8), ("_THINNED_TO", 2), ("LOG_LINES_KEPT", 4), ("ALERTS_KEPT", 2)):
            patch.setattr(run_state, name, bound)
        patch.setattr(History, "keep_every", 1)
        yield


@given(st.lists(EVENTS, max_size=40), st.lists(st.integers(0, 40 * 600), max_size=5), st.integers(20, 3000))
@settings(max_examples=150, deadline=None)
def test_the_state_is_that_of_all_events_wherever_it_was_kept_and_the_writing_was(
    tmp_path_factory: pytest.TempPathFactory, told: list[Event], cuts: list[int], chunk: int
) -> None:
    folder = tmp_path_factory.mktemp("run")
    data = b"".join(to_json(event).encode() + b"\n" for event in told)
    follower, begun = History(folder), 0
    with small_bounds(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_file, "_CHUNK", chunk)
        for end in sorted({*(min(cut, len(data)) for cut in cuts), len(data)}):
            with (folder / "events.jsonl").open("ab") as file:
                file.write(data[begun:end])  # a torn line at its end, as often as not
            begun = end
            expected = all_of(folder)
            while follower.read():
                pass
            # one that follows, one that reads anew, and one that finds what that has kept
            for state in (follower.state, read_history(folder).state, History(folder).state):
                assert repr(state) == repr(expected)
        whole = reduce(fold, map(from_json, map(to_json, told)), RunState())
        assert repr(read_history(folder).state) == repr(whole)


@given(st.lists(EVENTS, max_size=30), st.lists(EVENTS, max_size=10))
@settings(max_examples=60, deadline=None)
def test_who_is_told_the_past_goes_on_as_if_it_had_heard_all_of_it(before: list[Event], after: list[Event]) -> None:
    with small_bounds():
        past = reduce(fold, before, RunState())
        as_it_was = repr(past)
        heard = reduce(fold, [run_state.Past(past.now, past), *after], RunState())
        assert repr(heard) == repr(reduce(fold, [*before, *after], RunState()))
    assert repr(past) == as_it_was  # others may have been told the same one


def test_a_screen_keeps_its_own_words_when_it_is_told_the_past() -> None:
    own = [LogLine(1.0, "info", "mine"), events.Alert(2.0, "error", "title", "mine")]
    past = reduce(fold, ALL, RunState())
    state = reduce(fold, [*own, run_state.Past(past.now, past)], RunState())
    assert [text for _, _, text in state.log[:2]] == ["mine", "title: mine"]
    assert state.log[2:] == past.log and state.log_total == past.log_total + 2
    assert state.alerts == [own[1], *past.alerts] and state.alerts_total == past.alerts_total + 1
    assert state.finished == past.finished


def test_a_run_that_is_resumed_forgets_what_is_over_and_nothing_else() -> None:
    paused = [events.Paused(9.1, True), events.Stopping(9.2, "batch", "x")]
    past = reduce(fold, [*ALL, *paused], RunState())
    cut = past.cut_off()
    assert (cut.finished, cut.paused, cut.stopping) == (None, False, None)
    assert not (cut.alerts or cut.over or cut.systems or cut.alerts_total)
    assert repr(cut.epochs) == repr(past.epochs) and cut.log == past.log and cut.started == past.started
    assert past.finished and past.alerts and past.systems


@pytest.mark.usefixtures("kept_often")
@pytest.mark.parametrize("bad", range(3, 100, 3))
def test_a_state_that_is_torn_or_damaged_is_none(tmp_path: Path, bad: int) -> None:
    folder = make_run(tmp_path / "run", *ALL)
    expected = repr(read_history(folder).state)
    path = folder / NAME
    whole = path.read_bytes()
    at = len(whole) * bad // 100
    for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], whole[at:], b"[" * 99_999):
        path.write_bytes(damaged)
        assert read_state(folder) is None
        assert repr(read_history(folder).state) == expected
        assert path.read_bytes() == whole  # it is made anew


@pytest.mark.usefixtures("kept_often")
def test_a_state_of_other_events_is_none(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", *ALL)
    read_history(folder)
    assert read_state(folder) is not None
    file = folder / "events.jsonl"
    data = file.read_bytes()
    for other in (b"", data[:-1], b"x" + data[1:], data.replace(b'"epoch": 1', b'"epoch": 2')):
        file.write_bytes(other)
        assert read_state(folder) is None
        assert repr(History(folder).state) == repr(RunState())
    file.unlink()
    assert read_state(folder) is None
    file.write_bytes(data + b'{"torn')  # more of the same
    assert read_state(folder) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": [[1, "x"]]}, {"epoch_ends": []}, {"losses": {}}, {"losses": None}, {"stopping": "never"},
        {"started": 3}, {"started": to_json(ALL[1])}, {"log": [[1, 2]]}, {"log_total": 1.5}, {"over": {"a": "b"}},
        {"alerts": None}, {"now": "x"}, {"systems": ["{"]},
    ],
    ids=str,
)  # fmt: skip
def test_a_state_that_somebody_else_has_made_up_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    folder = make_run(tmp_path / "run", *ALL)
    plain = state_file._plain
    monkeypatch.setattr(state_file, "_plain", lambda state: {**plain(state), **change})
    write_state(folder, all_of(folder), (folder / "events.jsonl").stat().st_size)
    assert read_state(folder) is None


def test_nothing_is_kept_of_a_short_run_and_what_cannot_be_kept_is_read_again(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", *ALL)
    read_history(folder)
    assert not (folder / NAME).exists()
    say(folder, *[LogLine(9.0, "info", "x" * 1000)] * 1100)
    (folder / NAME).mkdir()  # as good as a folder that cannot be written
    assert read_history(folder).state.log_total == all_of(folder).log_total
    (folder / NAME).rmdir()
    read_history(folder)
    stored = read_state(folder)
    assert stored is not None and stored.position == (folder / "events.jsonl").stat().st_size
    assert not [*folder.glob(".*.tmp")]


def test_the_unread_part_is_told(tmp_path: Path) -> None:
    assert History(tmp_path).unread == 0
    folder = make_run(tmp_path / "run", *ALL)
    past = History(folder)
    assert past.unread == (folder / "events.jsonl").stat().st_size
    past.read()
    assert past.unread == 0


def test_what_is_kept_stays_small(tmp_path: Path) -> None:
    state = RunState()
    for point in range(1, 60_001):
        fold(state, events.Progress(float(point), "train", 1 + point // 100, point % 100 + 1, 100, 1.0, 2.0, 3.0, 4.0))
        fold(state, LogLine(float(point), "info", "x"))
        fold(state, events.CheckpointSaved(float(point), "LAST", "/x", 1))
        fold(state, events.Alert(float(point), "warning", "t", "m", "disk"))
    make_run(tmp_path / "run")
    assert write_state(tmp_path / "run", state, 0) < 3e6
    assert (len(state.checkpoints), state.alerts_total) == (1, 60_000)
    assert len(state.alerts) <= 2 * run_state.ALERTS_KEPT + 1


def test_an_alert_that_stands_is_kept_however_many_follow() -> None:
    stands = events.Alert(1.0, "warning", "t", "m", "disk")
    others = [events.Alert(2.0, "info", "t", str(number)) for number in range(5 * run_state.ALERTS_KEPT)]
    state = reduce(fold, [stands, *others], RunState())
    assert [alert for alert in state.alerts if state.is_active(alert)] == [stands]
    assert state.alerts[-1] is others[-1]


def test_another_fold_or_form_wants_another_number() -> None:
    """If this fails, what was kept before is read wrongly from now on: count `FORMAT` up, and take the new sum."""
    state = reduce(fold, ALL, RunState())
    for batch in range(run_state.LOSS_POINTS_KEPT + 99):
        loss = 1 / (1 + batch % 101)
        fold(state, events.Progress(batch / 4, "train", 1 + batch // 100, batch % 100, 100, 9.0, loss, loss / 2, 0.25))
    reduce(fold, [*ALL[2:5], *ALL[6:10], events.Stopping(9.9, "epoch", "")], state)
    plain = {**state_file._plain(state), "log": []}  # the words of the log may change
    found = zlib.crc32(json.dumps(plain).encode())
    bounds = (run_state.LOSS_POINTS_KEPT, run_state.LOG_LINES_KEPT, run_state.SYSTEMS_KEPT, run_state.ALERTS_KEPT)
    assert len(state.losses.x) == 10_129
    assert (state_file.FORMAT, bounds, found) == (1, (20_000, 500, 150, 1000), 838478186)
