"""Profiles in files: every problem gets one message with file, line, key and the way out; all of them at once."""

from __future__ import annotations

import os
import string
import tempfile
import tomllib
from collections.abc import Iterator
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


@pytest.fixture
def without_rights(monkeypatch) -> Iterator[Path]:
    """The working folder of a user for whom rights count: not root, for whom every folder is open."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        monkeypatch.chdir(name)
        if user == 0:
            try:
                os.seteuid(65534)
            except OSError:
                pytest.skip("root here cannot be somebody else")
        try:
            yield Path(name)
        finally:
            os.seteuid(user)
            for path in Path(name).rglob("*"):
                path.chmod(0o700)


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
        ("batch_size = 4\nsampler = 'pk'", "mine.toml:7: train.batch_size 4 holds one identity"),
        ("sampler = 'pk'\nimages_per_identity = 32", "mine.toml:8: train.batch_size 32 holds one identity"),
        ("epochs = 3\nwarmup_epochs = 3.5", "mine.toml:8: train.warmup_epochs 3.5 is more than train.epochs 3"),
        ("micro_batch = 64", "mine.toml:7: train.micro_batch 64 is more than train.batch_size 32; 0 takes the whole"),
        ("micro_batch = 1", "mine.toml:7: train.micro_batch: must be 0, or 2 at least: batch norm"),
        ("compile = 1", "train.compile: input should be a valid boolean"),
        ("flip = 0.5", "mine.toml:7: train.flip: unknown key; did you mean augment.flip?"),
        ("[augment]\nerase = 1.5", "mine.toml:8: augment.erase: input should be less than or equal to 1"),
        (
            "[augment]\ncrop_padding = 112",
            "mine.toml:8: augment.crop_padding 112 is half of data.image_size [224, 224] or more; 111 is the most",
        ),
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
        (
            MINIMAL.replace("RN-tiny", "ViT-B-61"),
            "mine.toml:5: model.name: open_clip has no architecture of that name; nearest: ViT-B-16, ",
        ),
        (MINIMAL.replace("RN-tiny", "hf-hub:a/b"), "mine.toml:5: model.name: names with hf-hub: are not taken"),
        (MINIMAL + "[data.more]\nx = 1", "data.more: unknown key"),
        ("data = 3\nmodel = 4", "mine.toml:1: data: must be a table (it is 3)"),
        ("train = 3\n" + MINIMAL, "mine.toml:1: train: must be a table (it is 3)"),
        (MINIMAL + "[[train]]\nepochs = 3", "mine.toml:6: train: must be a table"),
        (MINIMAL + "[validate]\nsplits = 3", "mine.toml:7: validate.splits: must be an array (it is 3)"),
        (MINIMAL + '["train"]\nepochs = 0', "mine.toml:7: train.epochs: input should be"),
        (MINIMAL + "[ 'train' ]\n\"epochs\" = 0", "mine.toml:7: train.epochs: input should be"),
        ("foo = 1\n" + MINIMAL, "mine.toml:1: foo: unknown key; the tables are [run], [data], [model], [train]"),
        ("epoch = 1\n" + MINIMAL, "mine.toml:1: epoch: unknown key; did you mean train.epochs?"),
        ("[zzz]\n" + MINIMAL, "mine.toml:1: zzz: unknown table; the tables are [run], [data], [model], [train]"),
        (MINIMAL + f"[run]\nseed = {'9' * 5000}", "mine.toml: is not TOML: Exceeds the limit"),
        (
            MINIMAL.replace('root = "demo:hands"', 'root = "demo:hands"\nimage_size = [64]'),
            "data.image_size: must be height and width",
        ),
        (MINIMAL.replace('root = "demo:hands"', 'root = "demo:hands"\nimage_size = 64'), "must be height and width"),
        (MINIMAL.replace('"demo:hands"', '"demo:hands"\ncamera_pattern = "c("'), "is not a regular expression"),
        (MINIMAL.replace('"demo:hands"', '"demo:hands"\ncamera_pattern = "c"'), "must have exactly one group"),
        (MINIMAL + "[validate]\nsplits = [0, 0]", "mine.toml:7: validate.splits: must not name a split twice"),
        (MINIMAL + '[run]\nname = "../up"', "run.name: must start with a letter or digit and hold letters"),
        (
            MINIMAL + "[validate]\nsplits = []",
            "validate.splits: must name a split at least, for example [0] (it is [])",
        ),
        (MINIMAL + '[run]\ndevice = "gpu"', "run.device: must be auto, cuda, cuda:N (N from 0 to 999), mps or cpu"),
        (MINIMAL + f'[run]\ndevice = "cuda:{"9" * 20}"', "run.device: must be auto, cuda, cuda:N"),
        (MINIMAL + '[run]\ndevice = "cuda:٣"', "run.device: must be auto, cuda, cuda:N"),
    ],
)
def test_files_that_are_wrong_altogether(profile_file, text, words):
    reading = read_profile(profile_file(text))
    assert any(words in problem for problem in reading.problems)
    assert reading.launchable is None


@pytest.mark.parametrize("train", ["batch_size = 8", "epochs = 3\nwarmup_epochs = 3", "images_per_identity = 16"])
def test_rules_across_keys_hold_at_their_limits(profile_file, train):
    assert load_profile(profile_file(f"{MINIMAL}[train]\nsampler = 'pk'\n{train}\n"))
    assert load_profile(profile_file(f'{MINIMAL}[run]\ndevice = "cuda:999"\n'))


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL + "[train]\nepochs = 0\n", encoding="utf-8-sig")
    assert read_profile(path).problems[0].startswith(f"{path}:7: train.epochs: ")


def test_all_problems_come_at_once(profile_file):
    reading = read_profile(profile_file(MINIMAL + "[train]\nepochs = 0\nlr = 0\nbatch = 3\n[run]\nseed = -1\n"))
    assert [problem.split(": ")[1] for problem in reading.problems] == [
        "train.epochs",
        "train.lr",
        "train.batch",
        "run.seed",
    ]


def keys_of(problems: tuple[str, ...]) -> list[str]:
    return [problem.split(": ")[1].split(" ")[0] for problem in problems]


def test_what_is_missing_comes_with_what_is_wrong(profile_file):
    text = MINIMAL.replace("demo:hands", "/nope") + 'pretrained = "/nope.pt"\n[train]\nepochs = 0\nlr = -1\n'
    assert keys_of(read_profile(profile_file(text)).problems) == [
        "data.root",
        "model.pretrained",
        "train.epochs",
        "train.lr",
    ]
    text = "[train]\nlr = 0\n" + MINIMAL.replace("demo:hands", "/nope") + "pretraned = 'openai'\n"
    assert keys_of(read_profile(profile_file(text)).problems) == ["train.lr", "data.root", "model.pretraned"]
    problems = read_profile(profile_file('[data]\nroot = "/nope"\n')).problems
    assert keys_of(problems) == ["model", "data.root"]


def test_rules_across_keys_are_checked_beside_what_is_wrong(profile_file):
    text = MINIMAL + "[train]\nepochs = 0\nbatch_size = 30\nsampler = 'pk'\n"
    assert keys_of(read_profile(profile_file(text)).problems) == ["train.epochs", "train.batch_size"]
    text = MINIMAL + "[train]\nwarmup_epochs = 70\nsampler = 'pk'\nbatch_size = 30\n"
    assert keys_of(read_profile(profile_file(text)).problems) == ["train.warmup_epochs", "train.batch_size"]
    text = MINIMAL + "[train]\nepochs = 0\nwarmup_epochs = 3\nbatch_size = 3\nsampler = 'kp'\n"
    assert keys_of(read_profile(profile_file(text)).problems) == ["train.epochs", "train.sampler"]


def test_the_splits_are_looked_for_only_where_they_are_sound(profile_file, tmp_path):
    (tmp_path / "set" / "train").mkdir(parents=True)
    text = MINIMAL.replace("demo:hands", str(tmp_path / "set")) + "[validate]\n"
    assert keys_of(read_profile(profile_file(text + "splits = [-1]")).problems) == ["validate.splits[0]"]
    assert keys_of(read_profile(profile_file(text + "on = 'nothing'")).problems) == ["validate.on"]
    assert keys_of(read_profile(profile_file(text + "every = 0")).problems) == ["data.root", "validate.every"]


LONG = "x" * 300


@pytest.mark.parametrize("path", ["~nosuchuser/x.pt", f"{LONG}/x.pt", "mine.toml/x.pt"])
@pytest.mark.parametrize("key", ["data.root", "run.dir", "model.pretrained"])
def test_paths_that_cannot_be_there(profile_file, tmp_path, monkeypatch, key, path):
    monkeypatch.chdir(tmp_path)
    reading = read_profile(profile_file(MINIMAL), [f"{key}={path}"])
    assert keys_of(reading.problems) == [key]
    assert reading.problems[0].startswith(f"--set {key}={path}: {key}: ")
    assert reading.profile is not None
    assert read_profile(profile_file(MINIMAL), [f"{key}={path}"], check_folders=False).launchable is not None


def test_folders_without_the_right_to_enter(without_rights):
    closed = without_rights / "closed"
    (closed / "set").mkdir(parents=True)
    path = without_rights / "mine.toml"
    path.write_text(MINIMAL + "[run]\n")
    closed.chmod(0)
    for key in ("data.root", "run.dir"):
        for folder in (closed, closed / "set"):
            [problem] = read_profile(path, [f"{key}={folder}"]).problems
            assert f": {key}: {folder} cannot be " in problem and "name another folder" in problem
    [problem] = read_profile(path, [f"model.pretrained={closed / 'x.pt'}"]).problems
    assert "x.pt cannot be read: Permission denied; make it readable for you, or name another file" in problem
    closed.chmod(0o500)
    assert "closed cannot be written to" in read_profile(path, [f"run.dir={closed}/runs/more"]).problems[0]
    closed.chmod(0)
    with pytest.raises(ProfileError, match="the folder cannot be read: Permission denied"):
        find_profiles(closed)
    with pytest.raises(ProfileError, match="cannot be read: Permission denied"):
        find_profiles(closed / "set")
    with pytest.raises(ProfileError, match="cannot be read: Permission denied"):
        locate_profile(str(closed / "x.toml"))


def test_the_data_folders_without_the_right_to_enter(without_rights):
    for name in ("train", "query0", "gallery0"):
        (without_rights / "set" / name).mkdir(parents=True)
    path = without_rights / "mine.toml"
    path.write_text(MINIMAL.replace("demo:hands", str(without_rights / "set")))
    (without_rights / "set" / "train").chmod(0)
    [problem] = read_profile(path).problems
    assert "mine.toml:2: data.root: " in problem and "train cannot be read" in problem


def test_the_folder_for_runs_must_be_a_folder(profile_file, tmp_path):
    path = profile_file(MINIMAL)
    (tmp_path / "taken").touch()
    for folder in ("taken", "taken/runs"):
        [problem] = read_profile(path, [f"run.dir={tmp_path / folder}"]).problems
        assert f"run.dir: {tmp_path / 'taken'} is a file, not a folder; name another" in problem
        assert read_profile(path, [f"run.dir={tmp_path / folder}"], check_folders=False).launchable is not None
    assert load_profile(path, [f"run.dir={tmp_path / 'new' / 'runs'}"])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (LONG, "no profile of that name"),
        (f"{LONG}.toml", "cannot be read: File name too long"),
        ("~nosuchuser/x.toml", "the home folder ~nosuchuser is not known here; write the path in full"),
        ("~nosuchuser", "the home folder ~nosuchuser is not known here"),
    ],
)
def test_names_of_profiles_that_cannot_be_there(name, words):
    with pytest.raises(ProfileError) as raised:
        locate_profile(name)
    assert words in raised.value.message


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
    problems = read_profile(path, ["train", "train.batch_size=30", "train.sampler=pk", "data.root=/nope"]).problems
    assert [problem.partition(": ")[0] for problem in problems] == [
        "--set train",
        "--set train.batch_size=30",
        "--set data.root=/nope",
    ]


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
                "batch_size": k * draw(st.integers(2, 100)),
                "images_per_identity": k,
                "lr": draw(rates),
                "weight_decay": draw(st.floats(0, 10)),
                "label_smoothing": draw(st.floats(0, 0.999)),
                "sampler": draw(st.sampled_from(["shuffle", "pk"])),
                "micro_batch": draw(st.sampled_from([0, 2, 3, 4])),
                "compile": draw(st.booleans()),
            },
            "augment": {"flip": draw(st.floats(0, 1)), "crop_padding": draw(st.integers(0, 7))},
            "validate": {"splits": tuple(draw(st.lists(st.integers(0, 99), min_size=1, unique=True)))},
        }
    )


@given(profiles())
@settings(max_examples=200, deadline=None)
def test_what_is_written_reads_back_equal(profile):
    assert Profile.model_validate(tomllib.loads(write_profile(profile))) == profile
