"""Text that others write to the terminal: cut into lines, bounded; and the terminal's own checks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reid_tui.output import LONGEST_LINE, OutputLines
from reid_tui.terminal import TerminalFile, can_show_app
from reid_tui.text import duration, number, percent, short_path, speed


def test_lines_end_with_newlines_and_carriage_returns() -> None:
    lines = OutputLines()
    assert lines.feed("one\ntw", 0) == ["one"]
    assert lines.feed("o\r\n10%\r20%\r", 0) == ["two", "10%", "20%"]
    assert lines.feed("no end", 0) == []
    assert lines.flush(0) == ["no end"]
    assert lines.flush(0) == []


def test_a_flood_is_bounded_and_said_to_be() -> None:
    lines = OutputLines(lines_per_second=10)
    assert len(lines.feed("x\n" * 1000, 0)) == 10
    assert lines.feed("more\n", 0.5) == []
    assert lines.feed("later\n", 1.0) == ["… 991 lines of output left out", "later"]


def test_a_line_without_end_is_cut() -> None:
    assert OutputLines().feed("x" * (LONGEST_LINE + 5), 0) == ["x" * LONGEST_LINE]


def test_figures_are_short_and_unknown_ones_a_dash() -> None:
    nan = float("nan")
    assert [percent(value) for value in (0.714, 1.0, nan)] == ["71.4", "100.0", "–"]
    assert [number(value) for value in (2.3145, 0.0142, 1e-5, 1234567.0, 0.0, nan)] == [
        "2.31",
        "0.014",
        "1e-5",
        "1.2e+6",
        "0",
        "–",
    ]
    assert [duration(value) for value in (5, 75, 3675, nan)] == ["0:05", "1:15", "1:01:15", "–"]
    assert [speed(value) for value in (412.3, 2.5, nan)] == ["412 img/s", "2.5 img/s", ""]
    assert short_path(Path.home() / "runs/x") == "~/runs/x"
    assert len(short_path("/a" * 60, 30)) == 30


@pytest.mark.parametrize("term", ["dumb", "", "unknown"])
def test_no_app_on_a_terminal_that_cannot_draw(term: str) -> None:
    able, reason = can_show_app({"TERM": term})
    assert not able
    assert "TERM" in reason


def test_drawing_on_a_terminal_that_is_gone_raises_nothing() -> None:
    source, sink = os.pipe()
    os.close(source)
    told: list[str] = []
    gone = TerminalFile(sink, lambda: told.append("lost"))
    gone.write("text")
    gone.flush()
    gone.write("more")
    gone.flush()
    assert told == ["lost"]
    os.close(sink)
