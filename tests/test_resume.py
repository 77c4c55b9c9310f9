"""A run that was cut and resumed ends as if it had never been cut, wherever the cut was."""

from __future__ import annotations

import contextlib
import csv
import os
import random
import signal
import subprocess
import sys
import time
from functools import reduce
from pathlib import Path

import pytest
import torch

from core import trainer as trainer_module
from core.control import RunControl
from core.events import Alert, CheckpointSaved, Progress, RunStarted, from_json
from core.profile import Augment
from core.profile_files import write_profile
from core.run_lock import held
from core.run_state import RunState, fold

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def every_batch_is_shown(monkeypatch):
    monkeypatch.setattr(trainer_module, "DISPLAY_INTERVAL", 0.0)


def resume(folder, *overrides, watch=None):
    from core.session import resume_run

    events, control = [], RunControl()

    def listen(event):
        events.append(event)
        if watch:
            watch(event, control)

    finished = resume_run(folder, overrides, listen, control)
    return finished, reduce(fold, events, RunState()), events


def results(folder):
    """What must not depend on cuts: weights of FINAL, and the metrics that are no times."""
    [final] = folder.glob("checkpoints/*_FINAL.pth")
    content = torch.load(final, weights_only=True)
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    times = {"seconds", "images_per_second"}
    return content["state_dict"], content["classifier"], [{k: v for k, v in r.items() if k not in times} for r in rows]


def assert_equal(cut, whole):
    for part, other in zip(cut[:2], whole[:2], strict=True):
        assert all(torch.equal(part[name], other[name]) for name in other)
    assert cut[2] == whole[2]


def stop_at(phase, epoch, done):
    def watch(event, control):
        if isinstance(event, Progress) and (event.phase, event.epoch, event.done) == (phase, epoch, done):
            control.stop_after_batch()

    return watch


CUTS = {
    "in the baseline": [("validate", 0, 8)],
    "after the first batch": [("train", 1, 1)],
    "in the middle": [("train", 2, 2)],
    "at the end of an epoch": [("train", 1, 3)],
    "in a validation": [("validate", 2, 8)],
    "over and over": [("train", 1, 1), ("train", 1, 2), ("validate", 1, 8), ("train", 2, 1), ("train", 3, 2)],
}


@pytest.mark.parametrize("sampler", ["shuffle", "pk"])
@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
def test_weights_and_metrics_are_bit_identical(train, tiny_profile, sampler, cuts):
    options = {"epochs": 3, "sampler": sampler, "images_per_identity": 2, "batch_size": 8, "schedule": "cosine"}
    whole = train(tiny_profile(**options))
    first, *others = cuts
    cut = train(tiny_profile(**options), stop_at(*first))
    assert cut.finished.reason == "stopped"
    for place in others:
        finished, _, _ = resume(cut.folder, watch=stop_at(*place))
        assert finished.reason == "stopped"
    finished, state, _ = resume(cut.folder)
    assert finished.reason == "finished"
    assert_equal(results(cut.folder), results(whole.folder))
    assert [row.epoch for row in state.epochs] == [0, 1, 2, 3]
    assert all(row.images_per_second > 0 for row in state.epochs[1:])
    assert state.losses.x == sorted(set(state.losses.x))
    assert state.best.rank1 == whole.state.best.rank1 and state.best.epoch == whole.state.best.epoch
    replayed = reduce(fold, map(from_json, (cut.folder / "events.jsonl").read_text().splitlines()), RunState())
    assert repr(replayed.epochs) == repr(state.epochs)


AUGMENT = Augment(flip=0.5, crop_padding=4, erase=0.5)


def test_with_augmentations_and_in_parts_as_well(train, tiny_profile):
    profile = tiny_profile(epochs=2, micro_batch=3).model_copy(update={"augment": AUGMENT})
    whole = results(train(profile).folder)
    cut = train(profile, stop_at("train", 1, 2))
    assert resume(cut.folder, watch=stop_at("train", 2, 1))[0].reason == "stopped"
    assert resume(cut.folder)[0].reason == "finished"
    assert_equal(results(cut.folder), whole)


def test_numbers_that_are_long_on_their_way_from_the_device_count_all_the_same(train, tiny_profile, request):
    options = {"epochs": 2, "batch_size": 2, "sampler": "shuffle"}
    whole = train(tiny_profile(**options))
    request.getfixturevalue("slow_device")
    cut = train(tiny_profile(**options), stop_at("train", 1, 3))
    assert cut.finished.reason == "stopped"
    _, _, events = resume(cut.folder)
    assert_equal(results(cut.folder), results(whole.folder))
    told = [event for event in events if isinstance(event, Progress) and event.phase == "train"]
    assert all(event.loss > 0 and event.images_per_second > 0 for event in told)
    assert len(told) < len([event for event in whole.events if isinstance(event, Progress) and event.phase == "train"])


def test_patience_goes_on_where_it_was(train, tiny_profile):
    options = {"epochs": 30, "lr": 1e-12, "early_stop_patience": 3}
    whole = train(tiny_profile(**options)).finished

    def watch(event, control):
        if isinstance(event, Progress) and event.phase == "train" and event.epoch == whole.epoch:
            control.stop_after_batch()

    cut = train(tiny_profile(**options), watch)
    finished, state, _ = resume(cut.folder)
    assert (finished.reason, finished.epoch) == ("early-stop", whole.epoch)
    assert state.patience.epochs_since_best == 3


def test_a_finished_run_goes_on_with_more_epochs(train, tiny_profile):
    outcome = train(tiny_profile(epochs=1))
    assert resume(outcome.folder)[0].reason == "finished"
    finished, state, _ = resume(outcome.folder, "train.epochs=3")
    assert (finished.reason, finished.epoch) == ("finished", 3)
    assert_equal(results(outcome.folder), results(train(tiny_profile(epochs=3)).folder))
    assert state.started.resumed_epoch == 2


@pytest.mark.parametrize(
    "override",
    [
        "train.lr=1e-4",
        "run.precision=bf16",
        "run.tf32=false",
        "train.batch_size=4",
        "train.micro_batch=4",
        "augment.flip=0.5",
        "run.seed=3",
        "epochs=3",
    ],
)
def test_what_would_make_the_profile_untrue_is_refused(train, tiny_profile, override):
    finished, _, events = resume(train(tiny_profile(epochs=1)).folder, override)
    assert finished.reason == "failed"
    assert f"--set {override}: a run cannot be resumed with another value" in finished.message
    assert not any(isinstance(event, RunStarted) for event in events)


def test_two_last_are_kept_and_a_damaged_one_is_named_and_passed_over(train, tiny_profile):
    whole = results(train(tiny_profile(epochs=3)).folder)
    outcome = train(tiny_profile(epochs=3), stop_at("train", 3, 1))
    last, previous = (next(outcome.folder.glob(f"checkpoints/*_{kind}.pth")) for kind in ("LAST", "LAST-previous"))
    last.write_bytes(last.read_bytes()[:1000])
    finished, _, events = resume(outcome.folder)
    assert finished.reason == "finished"
    assert any(last.name in event.message for event in events if isinstance(event, Alert))
    assert_equal(results(outcome.folder), whole)
    for path in (last, previous):
        path.write_bytes(b"nothing")
    finished, _, events = resume(outcome.folder)
    assert finished.reason == "failed"
    assert (
        sum(path.name in event.message for event in events if isinstance(event, Alert) for path in (last, previous))
        == 2
    )


@pytest.mark.parametrize("stem", ["../../x", "/nowhere/x", "a/b", "..", ".hidden", "", "x\n", "x" * 151, 3, None])
def test_a_checkpoint_that_would_name_files_elsewhere_is_refused(train, tiny_profile, stem):
    outcome = train(tiny_profile(epochs=2), stop_at("train", 2, 1))
    last = outcome.checkpoints["LAST"]
    content = torch.load(last, weights_only=True)
    content["resume"]["stem"] = stem
    torch.save(content, last)
    before = sorted(path for path in outcome.folder.parents[1].rglob("*") if path.is_file())
    finished, _, _ = resume(outcome.folder)
    assert finished.reason == "failed" and str(last) in finished.message and "run's files" in finished.message
    after = sorted(path for path in outcome.folder.parents[1].rglob("*") if path.is_file())
    assert before == after, "nothing is written, not even beside the checkpoint before"


def test_a_checkpoint_that_holds_no_run_is_refused(train, tiny_profile):
    outcome = train(tiny_profile(epochs=1))
    outcome.checkpoints["BEST"].replace(outcome.checkpoints["LAST"])
    finished, _, _ = resume(outcome.folder, "train.epochs=2")
    assert finished.reason == "failed" and str(outcome.checkpoints["LAST"]) in finished.message


def test_a_live_run_cannot_be_resumed_beside_itself(train, tiny_profile):
    folder = train(tiny_profile(epochs=1)).folder
    before = (folder / "profile.toml").read_text()
    with held(folder):
        assert "another process trains in" in resume(folder, "train.epochs=2")[0].message
        assert (folder / "profile.toml").read_text() == before
    assert resume(folder, "train.epochs=2")[0].reason == "finished"


def test_data_that_have_changed_are_refused(train, tiny_profile, tiny_set, tmp_path):
    import shutil

    outcome = train(tiny_profile(epochs=2), stop_at("train", 2, 1))
    shutil.copytree(tiny_set, tmp_path / "set")
    (tmp_path / "set" / "train" / "t0").rename(tmp_path / "set" / "train" / "renamed")
    finished, _, _ = resume(outcome.folder, f"data.root={tmp_path / 'set'}")
    assert "other training identities" in finished.message


def test_minutes_within_an_epoch(train, tiny_profile):
    outcome = train(tiny_profile(epochs=1, checkpoint_minutes=1e-9))
    saved = [event for event in outcome.of(CheckpointSaved) if event.kind == "LAST"]
    assert len(saved) > 3


@pytest.mark.slow
def test_killed_at_any_moment_it_resumes_to_the_same_end(train, tiny_profile, tmp_path):
    """SIGKILL at dozens of random moments, most of them in the middle of a save; every time the folder resumes."""
    options = {"epochs": 12, "checkpoint_minutes": 1e-6}
    whole = results(train(tiny_profile(**options)).folder)
    (tmp_path / "killed.toml").write_text(
        write_profile(tiny_profile(**options)).replace(str(tmp_path / "runs"), str(tmp_path / "killed"))
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.run_until_killed"],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None and server.stdout is not None
    rng = random.Random(0)
    kills, command = 0, f"run {tmp_path / 'killed.toml'}"
    with server:
        while kills < 36:
            server.stdin.write(command + "\n")
            server.stdin.flush()
            pid = int(server.stdout.readline())
            time.sleep(rng.uniform(0.0, 0.3))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            [folder] = (tmp_path / "killed").iterdir()
            command = f"resume {folder}"
            if server.stdout.readline() != "killed\n":
                break
            kills += 1
        server.stdin.close()
    assert kills >= 24, "the run must last long enough to be killed"
    finished, _, _ = resume(folder)
    assert finished.reason == "finished"
    assert_equal(results(folder), whole)
    assert not list(folder.glob("checkpoints/.*")), "no temporary file is left behind"
