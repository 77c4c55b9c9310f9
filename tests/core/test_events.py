"""Events survive the file, whatever their numbers; torn lines are refused."""

from __future__ import annotations

import math

import pytest

from core import events
from core.events import EpochFinished, EpochMetrics, from_json, to_json

STARTED = events.RunStarted(
    time=1.5,
    run="run",
    name="demo",
    folder="/runs/run",
    model="RN-tiny",
    pretrained="none",
    dataset="hands",
    aspect="",
    image_size=(256, 128),
    device="cpu",
    precision="fp32",
    epochs=3,
    batch_size=4,
    batches_per_epoch=5,
    identities=6,
    train_images=20,
    query_images=7,
    gallery_images=8,
    patience=3,
    validated_on="query0/gallery0 (test split)",
    profile={"data": {"image_size": [256, 128]}},
)

ALL = [
    STARTED,
    events.Progress(2.0, "train", 1, 3, 5, 10.0, 1.0, 0.5, math.nan, math.inf, 1e-5),
    EpochFinished(3.0, EpochMetrics(1, loss=math.nan, rank1=0.5, grad_norm=-math.inf, queries=7)),
    events.Patience(4.0, 1, 0.5, 0, 3),
    events.CheckpointSaved(5.0, "BEST", "/runs/a [b].pth", 1),
    events.Paused(6.0, True),
    events.Alert(7.0, "error", "title", 'words with "quotes"\nand lines'),
    events.Alert(7.2, "warning", "title", "words", "loss-spike", 6.5),
    events.Cleared(7.4, "loss-spike", "title"),
    events.System(
        7.6,
        (
            events.Gpu(0, "NVIDIA H100", 0, 0.5, 4e10, 8e10, 63.0, 310.5, 700.0),
            events.Gpu(1, "one that tells \x1b nothing"),
        ),
        cpu=0.25,
        cpus=1.5,
        ram=1e9,
        disk_free=math.nan,
        data_wait=math.inf,
    ),
    events.LogLine(8.0, "info", "\x1b[31mred é😀"),
    events.RunFinished(9.0, "stopped", "stopped by the user", 1, 8.0, ("/a", "/b")),
]


@pytest.mark.parametrize("gpus", ["3", "[3]", '"ab"', "[{}]", "{}"])
def test_gpus_that_are_none_are_refused_or_none(gpus):
    try:
        event = from_json('{"event": "System", "time": 1.0, "gpus": ' + gpus + "}")
    except ValueError as error:
        assert "not an event" in str(error)
    else:
        assert event == events.System(1.0)


@pytest.mark.parametrize("event", ALL, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_equal_from_one_line(event):
    line = to_json(event)
    assert "\n" not in line
    assert to_json(from_json(line)) == line
    assert type(from_json(line)) is type(event)
    assert repr(from_json(line)) == repr(event)  # NaN is not equal to itself, its repr is


@pytest.mark.parametrize(
    "line", ["", "{", to_json(STARTED)[:-9], "[]", "3", '{"event": "Unheard"}', '{"event": "Paused"}']
)
def test_a_line_that_is_no_event_is_refused(line):
    with pytest.raises(ValueError, match="not an event"):
        from_json(line)


@pytest.mark.parametrize(
    ("event", "was", "became"),
    [
        (events.Paused(1.5, True), "1.5", "null"),
        (events.Paused(1.5, True), "1.5", '"never"'),
        (events.Paused(1.5, True), "true", "[]"),
        (events.Progress(1.5, "train", 7, 8, 9), '"train"', '"tra1n"'),
        (events.Progress(1.5, "train", 7, 8, 9), "7", '"7"'),
        (EpochFinished(1.5, EpochMetrics(7, rank1=0.5)), "0.5", "{}"),
        (EpochFinished(1.5, EpochMetrics(7, rank1=0.5)), "7", "null"),
        (events.RunFinished(1.5, "stopped", "word", 7, 8.0), '"stopped"', '["stopped"]'),
        (events.LogLine(1.5, "info", "word"), '"word"', "{" * 9000),
        (events.LogLine(1.5, "info", "word"), '"word"', "[" * 9000),
    ],
)
def test_a_line_whose_damage_left_other_types_is_refused(event, was, became):
    line = to_json(event)
    assert line.count(was) == 1
    with pytest.raises(ValueError, match="not an event"):
        from_json(line.replace(was, became))


def test_fields_from_the_future_are_passed_over():
    line = to_json(events.Paused(1.0, True)).replace('"time"', '"colour": "red", "time"')
    assert from_json(line) == events.Paused(1.0, True)
