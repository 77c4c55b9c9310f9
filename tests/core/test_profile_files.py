"""Profiles in files: every problem gets one message with file, line, key and the way out; all of them at once."""

from __future__ import annotations

import string
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ProfileError
from core.profile import Profile
from core.profile_files import (
    builtin_profiles,
    find_profiles,
    load_profile,
    locate_profile,
    read_profile,
    write_profile,
)

MINIMAL = '[data]\nroot = "demo:hands"\n\n[model]\nname = "RN-tiny"\n'


@pytest.fixture
def profile_file(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("epochs = 0", "mine.toml:7: train.epochs: input should be greater than or equal to 1 (it is 0)"),
        ("lr = -1e-5", "mine.toml:7: train.lr: input should be greater than 0 (it is -1e-05)"),
        ("lr = nan", "train.lr: input should be a finite number"),
        ('lr = "fast"', "train.lr: input should be a valid number (it is 'fast')"),
        ("epochs = 2.5", "train.epochs: input should be a valid integer"),
        ("epochs = true", "train.epochs: input should be a valid integer (it is true)"),
        ("epoch = 3", "mine.toml:7: train.epoch: unknown key; did you mean train.epochs?"),
        ("image_size = [224, 224]", "train.image_size: unknown key; did you mean data.image_size?"),
        ('sampler = "random"', "train.sampler: input should be 'shuffle' or 'pk' (it is 'random')"),
        ("batch_size = 30\nsampler = 'pk'", "mine.toml:7: train.batch_size 30 is not a multiple of"),
    ],
)
def test_a_problem_is_named_with_its_line_and_the_way_out(profile_file, line, words):
    reading = read_profile(profile_file(f"{MINIMAL}[train]\n{line}\n"))
    assert reading.profile is None
    assert len(reading.problems) == 1
    assert words in reading.problems[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[data]\nroot = \n", "is not TOML: Invalid value (at line 2, column 8)"),
        ("[modle]\nname = 'RN50'\n" + MINIMAL, "mine.toml:1: modle: unknown table; did you mean model?"),
        ("[data]\nroot = 'demo:hands'\n", "model: is missing"),
        (MINIMAL.replace("demo:hands", "no/such/folder"), "mine.toml:2: data.root: no such folder: no/such/folder"),
        (MINIMAL + "pretrained = 'gone.pth'", "mine.toml:6: model.pretrained: no such file: gone.pth"),
        (MINIMAL + "[data.more]\nx = 1", "data.more: unknown key"),
        ("data = 3\nmodel = 4", "mine.toml:1: data: input should be a valid dictionary"),
        (MINIMAL.replace('root = "demo:hands"', 'root = "demo:hands"\nimage_size = [224]'), "data.image_size"),
        (MINIMAL.replace('"demo:hands"', '"demo:hands"\ncamera_pattern = "c("'), "is not a regular expression"),
        (MINIMAL.replace('"demo:hands"', '"demo:hands"\ncamera_pattern = "c"'), "must have exactly one group"),
        (MINIMAL + "[validate]\nsplits = [0, 0]", "mine.toml:7: validate.splits: must not name a split twice"),
        (MINIMAL + '[run]\nname = "../up"', "run.name: string should match pattern"),
    ],
)
def test_files_that_are_wrong_altogether(profile_file, text, words):
    assert any(words in problem for problem in read_profile(profile_file(text)).problems)


def test_all_problems_come_at_once(profile_file):
    reading = read_profile(profile_file(MINIMAL + "[train]\nepochs = 0\nlr = 0\nbatch = 3\n[run]\nseed = -1\n"))
    assert [problem.split(": ")[1] for problem in reading.problems] == [
        "run.seed",
        "train.epochs",
        "train.lr",
        "train.batch",
    ]


def test_bytes_that_are_no_text_and_files_that_are_not_there(tmp_path):
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in read_profile(tmp_path / "bytes.toml").problems[0]
    assert "cannot be read" in read_profile(tmp_path / "absent.toml").problems[0]
    with pytest.raises(ProfileError, match="cannot be read"):
        load_profile(tmp_path / "absent.toml")


def test_folders_of_the_splits_must_exist(profile_file, tmp_path):
    (tmp_path / "set" / "train").mkdir(parents=True)
    (tmp_path / "set" / "query3").mkdir()
    text = MINIMAL.replace("demo:hands", str(tmp_path / "set")) + "[validate]\n"
    reading = read_profile(profile_file(text + "splits = [3]"))
    assert "has no folder gallery3" in reading.problems[0]
    assert reading.profile is not None and reading.launchable is None
    assert read_profile(profile_file(text + "on = 'held-out'")).launchable is not None
    assert read_profile(profile_file(text + "splits = [3]"), check_folders=False).launchable is not None


def test_overrides(profile_file):
    path = profile_file(MINIMAL)
    profile = load_profile(path, ["train.lr=1e-3", "run.name=other", "data.image_size=[256, 128]", "validate.every=2"])
    assert profile.train.lr == 1e-3
    assert profile.run.name == "other"
    assert profile.data.image_size == (256, 128)
    assert profile.validation.every == 2
    problems = read_profile(path, ["train.lr=-1", "train", "train.epoch=2"]).problems
    assert any(
        problem.startswith("--set train.lr=-1: train.lr: input should be greater than 0") for problem in problems
    )
    assert any("must look like table.key=value" in problem for problem in problems)
    assert any("did you mean train.epochs?" in problem for problem in problems)


def test_search_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folders = [tmp_path / "given", tmp_path / "profiles", tmp_path / "config" / "reid-tui" / "profiles"]
    for number, folder in enumerate(folders):
        folder.mkdir(parents=True)
        for name in ("demo", *(f"only{place}" for place in range(number + 1))):
            (folder / f"{name}.toml").write_text(MINIMAL)
    found = {path.stem: path.resolve().parent for path in find_profiles(tmp_path / "given")}
    assert found["demo"] == found["only0"] == folders[0]
    assert found["only1"] == folders[1]
    assert found["only2"] == folders[2]
    assert found["market-1501"] == builtin_profiles().resolve()
    assert locate_profile("demo").resolve().parent == folders[1]
    assert locate_profile(str(folders[2] / "demo.toml")).parent == folders[2]
    with pytest.raises(ProfileError, match=r"did you mean demo\?"):
        locate_profile("dmo")
    with pytest.raises(ProfileError, match="no such folder"):
        find_profiles(tmp_path / "absent")


@pytest.mark.parametrize("path", sorted(builtin_profiles().glob("*.toml")), ids=lambda path: path.stem)
def test_the_profiles_that_come_with_the_program_are_valid(path):
    profile = load_profile(path, check_folders=False)
    assert Profile.model_validate(tomllib.loads(write_profile(profile))) == profile


texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)
labels = st.text(string.ascii_letters + string.digits, min_size=1, max_size=20)
rates = st.floats(1e-12, 10, exclude_min=True)


@st.composite
def profiles(draw) -> Profile:
    k = draw(st.integers(2, 8))
    return Profile.model_validate(
        {
            "run": {"name": draw(labels), "dir": draw(texts), "seed": draw(st.integers(0, 2**31 - 1))},
            "data": {
                "root": draw(texts),
                "aspect": draw(st.just("") | labels),
                "image_size": tuple(draw(st.tuples(st.integers(16, 4096), st.integers(16, 4096)))),
                "normalize": draw(st.sampled_from(["none", "clip"])),
                "camera_pattern": draw(st.sampled_from(["", r"_c(\d+)", r'"(\x41\\)'])),
            },
            "model": {"name": draw(texts), "pretrained": draw(texts)},
            "train": {
                "epochs": draw(st.integers(1, 100_000)),
                "batch_size": k * draw(st.integers(1, 100)),
                "images_per_identity": k,
                "lr": draw(rates),
                "weight_decay": draw(st.floats(0, 10)),
                "label_smoothing": draw(st.floats(0, 0.999)),
                "sampler": draw(st.sampled_from(["shuffle", "pk"])),
            },
            "validate": {"splits": tuple(draw(st.lists(st.integers(0, 99), min_size=1, unique=True)))},
        }
    )


@given(profiles())
@settings(max_examples=200, deadline=None)
def test_what_is_written_reads_back_equal(profile):
    assert Profile.model_validate(tomllib.loads(write_profile(profile))) == profile
