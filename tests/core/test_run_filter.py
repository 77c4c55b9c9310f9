"""What passes the filter of a list of runs, and what is said of a filter that cannot be understood."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.run_fields import FIELDS
from core.run_filter import parse, profile_keys
from tests.core.test_run_fields import rows
from tests.listed_runs import NOW, run_row

RUN = run_row(
    "hands_ViT-B-16_e60",
    "finished",
    size=2_500_000_000,
    best_rank1=0.834,
    best_map=0.7,
    epoch=12,
    epochs=60,
    began=NOW - 2 * 86400,
    profile={
        "run": {"name": "hands", "seed": 3},
        "data": {"dataset": "11k-hands", "aspect": "dorsal-right", "image_size": [224, 224]},
        "model": {"name": "ViT-B-16", "pretrained": "openai"},
        "train": {"lr": 1e-5, "batch_size": 32, "sampler": "pk", "early_stop_patience": 3},
        "odd": 5,
    },
)
KEYS = profile_keys([RUN])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "VIT hands",
        "dorsal finished",
        "r1>83 r1<83.5 r1>=83.4 r1<=83.4 r1=83.4 r1=83.4% r1!=50",
        "rank1>80 R-1>80 map>=70",
        "state=finished state!=running STATE==Finished",
        "state=fin state!=r state=*shed state=f* standing=FINI",
        "lr<1e-4 lr=1e-5 lr=0.00001",
        "size>2GB size<3g size>=2500MB",
        "age>1d age<3d age>=47h age<1w",
        "batch=32 epoch=12 epochs=60",
        "model=vit* dataset=11k* aspect=dorsal-right",
        "sampler=pk train.sampler!=shuffle seed=3 seed<4 early_stop_patience=3",
        "pretrained=openai image_size=224,224",
    ],
)
def test_passes(text):
    filter = parse(text, KEYS)
    assert filter.problems == ()
    assert filter(RUN, NOW)


@pytest.mark.parametrize(
    "text",
    ["vit market", "r1>83.5", "state=running", "state=r", "state!=fin", "lr>1e-4", "size<2GB", "age<1d",
     "model=vit", "sampler=shuffle",
     "seed>3", "batch!=32", "r1>80 lr>1"],
)  # fmt: skip
def test_does_not_pass(text):
    filter = parse(text, KEYS)
    assert filter.problems == ()
    assert not filter(RUN, NOW)


@pytest.mark.parametrize("text", ["r1>0", "r1<100", "r1=0", "r1!=50", "lr<1", "batch>0", "age>0", "seed=3", "seed!=3"])
def test_what_is_not_known_passes_no_comparison(text):
    assert not parse(text, KEYS)(run_row(), NOW)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rank>3", "rank: no such value; did you mean"),
        ("stat=x", "stat: no such value; did you mean state?"),
        ("zzzzzz=1", "zzzzzz: no such value; there are name, state"),
        ("r1>", "r1>: with what?"),
        ("r1>high", "r1>high: not a number"),
        ("size>2XB", "size>2XB: not a number; units are"),
        ("state>finished", "state is a text: only = and != fit it"),
        ("state=done", "state=done: no such state; there are running, preparing, waiting, paused, failed,"),
        ("state!=Done", "state!=done: no such state; there are running"),
        ("sampler>pk", "sampler>pk: not a number"),
        ("lr<nan", "lr<nan: not a number"),
    ],
)
def test_what_cannot_be_understood_is_said_and_left_out(text, words):
    filter = parse(f"hands {text} vit", KEYS)
    assert len(filter.problems) == 1
    assert filter.problems[0].startswith(words)
    assert filter(RUN, NOW)
    assert not filter(run_row("other"), NOW)


terms = st.builds(
    "".join,
    st.tuples(
        st.one_of(st.sampled_from([*FIELDS, "seed", "train.lr", "odd", ""]), st.text(max_size=4)),
        st.sampled_from([">", "<", "=", ">=", "<=", "!=", "==", "=<", ""]),
        st.one_of(
            st.text(max_size=8), st.floats().map(str), st.integers().map(str), st.sampled_from(["[", "[!", "*?"])
        ),
    ),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # the machine is shared
@given(st.one_of(st.text(), st.lists(terms, max_size=4).map(" ".join)), rows)
def test_no_text_raises(text, rows):
    filter = parse(text, profile_keys(rows))
    for row in [*rows, RUN]:
        assert filter(row, NOW) in (True, False)


def test_the_largest_numbers_of_a_damaged_profile_are_none():
    huge = run_row(profile={"train": {"lr": 10**400, "batch_size": True}})
    assert math.isnan(float(FIELDS["lr"].value(huge, NOW)))
    assert math.isnan(float(FIELDS["batch"].value(huge, NOW)))
    assert not parse("lr>0")(huge, NOW)
