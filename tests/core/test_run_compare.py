"""Runs beside each other: epochs, differences of profiles, who is best, short names, slots."""

from __future__ import annotations

import math
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.run_compare import (
    FIGURES,
    METRICS,
    HistoryReader,
    RunHistory,
    best_of,
    differences,
    labels,
    read_epochs,
    slots,
)
from tests.listed_runs import make_run, metrics

FIGURE = {figure.title: figure for figure in FIGURES}
METRIC = {metric.key: metric for metric in METRICS}


def test_epochs_are_read_as_they_were_written(tmp_path):
    folder = make_run(tmp_path, "a", (0.1, 0.3, 0.2))
    written = [metrics(epoch, rank) for epoch, rank in enumerate((0.1, 0.3, 0.2))]
    assert str(read_epochs(folder)) == str(written)  # NaN is not equal to itself
    [history] = HistoryReader().read([folder])
    assert history.best is not None and history.best.epoch == 1
    assert history.curve(METRIC["loss"]) == ([1.0, 2.0], [5.0, 2.5])
    assert history.curve(METRIC["rank1"]) == ([0.0, 1.0, 2.0], [0.1, 0.3, 0.2])
    assert {figure.title: round(figure.of(history), 3) for figure in FIGURES} == {
        "R-1": 0.3, "R-5": 0.4, "R-10": 0.45, "mAP": 0.25, "mINP": 0.2, "best ep": 1, "epochs": 2, "time": 30,
    }  # fmt: skip


def test_torn_and_damaged_rows_are_left_out(tmp_path):
    folder = make_run(tmp_path, "a", (0.1, 0.3))
    with (folder / "metrics.csv").open("a") as file:
        file.write("2,0.5,0.4\nx,1,1\n\0\n-3" + ",1" * 20 + "\n99999999999999999999e,1\n3,0.1,0.")
    assert [row.epoch for row in read_epochs(folder)] == [0, 1]
    (folder / "metrics.csv").write_text("epoch\n1\n")
    assert read_epochs(folder) == []
    (folder / "metrics.csv").unlink()
    (folder / "profile.toml").write_text("= broken")
    [history] = HistoryReader().read([folder])
    assert history.epochs == () and history.profile == {} and history.best is None
    assert all(math.isnan(figure.of(history)) for figure in FIGURES)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # the machine is shared
@given(st.binary())
def test_no_file_raises(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("odd")
    (folder / "metrics.csv").write_bytes(b"epoch,rank1,mAP,seconds,loss\n" + data)
    assert isinstance(read_epochs(folder), list)


def test_an_unchanged_run_is_the_same_object(tmp_path):
    a, b = make_run(tmp_path, "a"), make_run(tmp_path, "b")
    reader = HistoryReader()
    first = reader.read([a, b])
    (b / "metrics.csv").write_text((b / "metrics.csv").read_text().rpartition("\n2,")[0] + "\n")
    again = reader.read([a, b])
    assert again[0] is first[0] and again[1] is not first[1]
    assert len(again[1].epochs) == 2


def test_only_keys_that_differ_are_told(tmp_path):
    a = make_run(tmp_path, "a")
    b = make_run(tmp_path, "b", train={"lr": 3e-4}, data={"aspect": ""}, extra={"odd": [1, True]})
    assert differences(HistoryReader().read([a, b])) == [
        ("data.aspect", ["dorsal-right", '""']),
        ("train.lr", ["0.001", "0.0003"]),
        ("extra.odd", ["–", "1,true"]),
    ]
    assert differences(HistoryReader().read([a])) == []


def test_the_best_is_marked_where_there_is_better_and_worse(tmp_path):
    a, b = HistoryReader().read([make_run(tmp_path, "a", (0, 0.5)), make_run(tmp_path, "b", (0, 0.6))])
    assert best_of(FIGURE["R-1"], [a, b]) == 0.6
    assert math.isnan(best_of(FIGURE["R-1"], [a]))
    assert math.isnan(best_of(FIGURE["R-1"], [a, a]))
    assert math.isnan(best_of(FIGURE["epochs"], [a, b]))
    assert math.isnan(best_of(FIGURE["R-1"], [a, RunHistory(Path("/none"))]))


def test_a_label_is_what_others_do_not_have():
    assert labels(["x_lr1e-3_b32_20261123-101010", "x_lr1e-4_b32_20261123-111111"]) == ["lr1e-3", "lr1e-4"]
    assert labels(["x_b32_20261123-101010", "x_b32_20261123-111111"]) == ["101010", "111111"]
    assert labels(["a_b_20261123-101010", "b_20261123-111111"]) == ["101010", "111111"]
    assert labels(["one"]) == ["one"]
    assert labels(["a_1", "b_c_1"]) == ["a_1", "b_c_1"]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # the machine is shared
@given(st.lists(st.text(st.sampled_from("ab_1-"), min_size=1, max_size=6), min_size=1, max_size=8, unique=True))
def test_labels_are_all_different(names):
    assert len(set(labels(names))) == len(names)


def test_who_has_a_slot_keeps_it():
    a, b, c, d = (Path(name) for name in "abcd")
    first = slots({}, [a, b, c])
    assert first == {a: 0, b: 1, c: 2}
    assert slots(first, [d, c, a]) == {d: 1, c: 2, a: 0}
