"""Sweeps: how they are written, and that every combination comes once and in order."""

from __future__ import annotations

import math
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ProfileError
from core.profile_names import free_name, name_problem, save_new_profile
from core.run_plan import plan_runs
from core.sweep import MOST_RUNS, Sweep, check_sweeps, combinations, parse_sweep, parse_value

keys = st.builds(
    "{}.{}".format, st.text(string.ascii_lowercase, min_size=1), st.text(string.ascii_lowercase, min_size=1)
)
bare = st.text(string.ascii_lowercase + string.digits + ".-", min_size=1, max_size=6)
quoted = st.text(string.ascii_letters + "[],{}' =", max_size=8).map('"{}"'.format)
arrays = st.lists(st.integers(0, 9), min_size=1, max_size=3).map(lambda numbers: str(numbers))
values = st.one_of(bare, quoted, arrays)
sweeps = st.lists(
    st.builds(
        Sweep, keys, st.lists(values, min_size=1, max_size=4, unique_by=lambda text: repr(parse_value(text))).map(tuple)
    ),
    max_size=3,
    unique_by=lambda sweep: sweep.key,
)


@given(sweeps)
@settings(max_examples=200, deadline=None)
def test_every_combination_comes_once_and_the_last_sweep_changes_fastest(given_sweeps: list[Sweep]) -> None:
    made = combinations(given_sweeps)
    assert len(made) == math.prod(len(sweep.values) for sweep in given_sweeps)
    assert len(set(made)) == len(made)
    places = [[sweep.overrides.index(part) for sweep, part in zip(given_sweeps, run, strict=True)] for run in made]
    assert places == sorted(places)


@given(keys, st.lists(values, min_size=1, max_size=4, unique_by=lambda text: repr(parse_value(text))))
@settings(max_examples=200, deadline=None)
def test_what_is_joined_by_commas_is_cut_at_them(key: str, given_values: list[str]) -> None:
    try:
        sweep = parse_sweep(f"{key}={','.join(given_values)}")
    except ProfileError as error:  # 1 and 1.0 are different texts of one value
        assert "is the same as" in error.message
    else:
        assert sweep == Sweep(key, tuple(given_values))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("train.lr=1e-5,3e-5", ("1e-5", "3e-5")),
        (" train.lr = 1e-5 , 3e-5 ", ("1e-5", "3e-5")),
        ("data.image_size=[64, 32],[128,64]", ("[64, 32]", "[128,64]")),
        ("data.root='a,b',c", ("'a,b'", "c")),
        (r'data.root="a\",b",c', (r'"a\",b"', "c")),
        (r'data.root="a\\",b', (r'"a\\"', "b")),
        ("data.root=[a,b", ("[a,b",)),
    ],
)
def test_commas_in_brackets_and_quotes_belong_to_a_value(text: str, values: tuple[str, ...]) -> None:
    assert parse_sweep(text).values == values


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train.lr", "must look like table.key=value,value"),
        ("lr=1,2", "must look like table.key=value,value"),
        ("train.lr=1,,2", "a value is empty"),
        ("train.lr=", "a value is empty"),
        ("train.lr=1e-5,0.00001", "0.00001 is the same as 1e-5"),
        ("train.epochs=1,1.0", "1.0 is the same as 1"),
    ],
)
def test_a_sweep_that_cannot_be_meant_is_refused(text: str, words: str) -> None:
    with pytest.raises(ProfileError, match="--sweep") as raised:
        parse_sweep(text)
    assert words in raised.value.message


def test_sweeps_that_do_not_go_together_are_refused_all_at_once() -> None:
    many = Sweep("train.seed", tuple(map(str, range(MOST_RUNS + 1))))
    with pytest.raises(ProfileError) as raised:
        check_sweeps([Sweep("train.lr", ("1",)), Sweep("train.lr", ("2",)), many], ["train.seed=3"])
    assert len(raised.value.problems) == 3
    check_sweeps([Sweep("train.seed", tuple(map(str, range(MOST_RUNS))))])
    with pytest.raises(ProfileError, match="400 runs"):
        check_sweeps([Sweep("train.seed", tuple(map(str, range(MOST_RUNS))))], profiles=2)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text('[data]\nroot = "demo:hands"\n[model]\nname = "RN-tiny"\n')
    return [tmp_path / "one.toml", tmp_path / "two.toml"]


def test_the_plan_has_each_profile_with_each_combination(files: list[Path]) -> None:
    runs = plan_runs(files, ["train.epochs=3"], [parse_sweep("train.lr=1e-3,2e-3"), parse_sweep("run.seed=1,2")])
    assert [run.title for run in runs][:3] == [
        "one · train.lr=1e-3 · run.seed=1",
        "one · train.lr=1e-3 · run.seed=2",
        "one · train.lr=2e-3 · run.seed=1",
    ]
    assert [(run.profile.train.lr, run.profile.run.seed) for run in runs[4:]] == [
        (1e-3, 1),
        (1e-3, 2),
        (2e-3, 1),
        (2e-3, 2),
    ]
    assert {run.profile.train.epochs for run in runs} == {3}
    assert [run.title for run in plan_runs([files[0], files[0]])] == ["one", "one"]


def test_every_problem_of_every_run_comes_at_once_and_once(files: list[Path]) -> None:
    files[1].write_text(files[1].read_text() + "[train]\nepochs = 0\n")
    sweeps = [parse_sweep("train.lr=-1,1e-3,-2"), parse_sweep("train.batch_size=8,1")]
    with pytest.raises(ProfileError) as raised:
        plan_runs(files, (), sweeps)
    told = raised.value.problems
    assert sum("epochs" in problem for problem in told) == 1
    assert sum("--set train.lr=-1: " in problem for problem in told) == 1
    assert sum("--set train.lr=-2: " in problem for problem in told) == 1
    assert sum("--set train.batch_size=1: " in problem for problem in told) == 1
    assert len(told) == 4
    with pytest.raises(ProfileError) as raised:
        plan_runs(files)
    assert raised.value.source == str(files[1]), "the others are in order"


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("a", True),
        ("a-1.b_c+d", True),
        ("", False),
        ("../a", False),
        (".a", False),
        ("a.toml", False),
        ("a" * 65, False),
    ],
)
def test_names_of_profiles(name: str, good: bool) -> None:
    assert (not name_problem(name)) is good


@given(st.text(max_size=80))
def test_a_proposed_name_is_a_good_one(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    assert name_problem(free_name(name.removesuffix(".toml"), Path("/nowhere"))) in {"", "without .toml: that is added"}


def test_a_profile_is_never_replaced_unasked(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.toml"
    save_new_profile(path, "1", replace=False)
    assert free_name("a", path.parent) == "a-2"
    with pytest.raises(FileExistsError):
        save_new_profile(path, "2", replace=False)
    assert path.read_text() == "1"
    save_new_profile(path, "2", replace=True)
    assert path.read_text() == "2"
