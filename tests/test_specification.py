"""What a run is, read from top to bottom."""

from __future__ import annotations

import csv
import errno
import math
import os
import shutil
import threading
import tomllib
from functools import reduce

import open_clip
import pytest
import torch

from core import atomic as atomic_module
from core import checkpoint as checkpoint_module
from core import parts as parts_module
from core import trainer as trainer_module
from core.events import (
    Alert,
    CheckpointSaved,
    EpochFinished,
    EpochMetrics,
    Paused,
    Progress,
    RunFinished,
    RunStarted,
    from_json,
)
from core.profile import Profile
from core.run_state import RunState, fold
from tests.conftest import draw_set


def weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


def in_training(event, epoch, batch=1):
    return isinstance(event, Progress) and event.phase == "train" and (event.epoch, event.done) == (epoch, batch)


@pytest.fixture
def every_batch_is_shown(monkeypatch):
    monkeypatch.setattr(trainer_module, "DISPLAY_INTERVAL", 0.0)


class TestEpochs:
    def test_the_baseline_is_measured_before_the_first_epoch(self, train, tiny_profile):
        baseline, first = train(tiny_profile(epochs=1)).state.epochs
        assert baseline.epoch == 0
        assert math.isnan(baseline.loss) and baseline.queries == 6 and 0 <= baseline.rank1 <= 1
        assert first.epoch == 1

    def test_an_epoch_tells_losses_ranks_rates_and_time(self, train, tiny_profile):
        row = train(tiny_profile(epochs=1, triplet_weight=2.0)).state.epochs[1]
        assert row.loss == pytest.approx(row.ce + 2 * row.triplet, rel=1e-4)
        assert 0 <= row.train_rank1 <= row.train_rank5 == row.train_rank10 == 1.0  # four identities
        assert 0 <= row.rank1 <= row.rank5 <= row.rank10 <= 1 and 0 < row.mAP <= 1 and 0 < row.mINP <= 1
        assert (row.lr, row.classifier_lr) == pytest.approx((1e-3, 1e-4))
        assert row.images_per_second > 0 and row.seconds > 0 and row.grad_norm > 0

    def test_training_learns(self, train, tiny_profile):
        epochs = train(tiny_profile(epochs=6, sampler="pk", classifier_lr_scale=1.0)).state.epochs
        assert epochs[-1].ce < 0.7 * epochs[1].ce

    def test_a_run_on_the_cpu_is_determined_by_its_seed(self, train, tiny_profile, monkeypatch):
        intervals = iter([0.0, 10.0, 0.0])  # how often the screen wants to know must not matter

        def of_seed(seed):
            monkeypatch.setattr(trainer_module, "DISPLAY_INTERVAL", next(intervals))
            profile = tiny_profile(sampler="pk")
            outcome = train(profile.model_copy(update={"run": profile.run.model_copy(update={"seed": seed})}))
            return [(e.loss, e.rank1, e.mAP) for e in outcome.state.epochs[1:]], weights(outcome.checkpoints["FINAL"])

        (rows, first), (rows_again, again), (other_rows, _) = of_seed(1), of_seed(1), of_seed(2)
        assert rows == rows_again and rows != other_rows
        assert all(torch.equal(first[name], again[name]) for name in first)

    def test_validation_may_be_rarer_but_never_misses_the_last_epoch(self, train, tiny_profile):
        rows = train(tiny_profile(epochs=3, validate={"every": 2})).state.epochs
        assert [math.isnan(row.rank1) for row in rows] == [False, True, False, False]

    def test_only_the_image_encoder_is_trained(self, train, tiny_profile):
        from core.model import build_model

        profile = tiny_profile()
        trained = weights(train(profile).checkpoints["FINAL"])
        torch.manual_seed(profile.run.seed)
        before = build_model(profile.model, profile.data.image_size).clip.state_dict()
        changed = {name for name in before if not torch.equal(before[name], trained[name])}
        assert changed and all(name.startswith("visual.") for name in changed)


class TestEnds:
    def test_the_last_epoch_ends_a_run(self, train, tiny_profile):
        outcome = train(tiny_profile())
        assert outcome.finished.reason == "finished"
        assert outcome.events[-1] == outcome.finished
        assert outcome.finished.epoch == 2

    def test_no_better_rank1_for_patience_epochs_ends_it_early(self, train, tiny_profile):
        # At such a rate nothing changes but the running statistics, which a flat Rank-1 needs to settle.
        outcome = train(tiny_profile(epochs=30, lr=1e-12, early_stop_patience=2))
        best = outcome.state.best
        assert outcome.finished.reason == "early-stop"
        assert outcome.finished.epoch == best.epoch + 2
        assert outcome.state.patience.epochs_since_best == 2

    def test_stop_after_this_epoch(self, train, tiny_profile, every_batch_is_shown):
        def watch(event, control):
            if in_training(event, epoch=1):
                control.stop_after_epoch()

        outcome = train(tiny_profile(epochs=5), watch)
        assert (outcome.finished.reason, outcome.finished.epoch) == ("stopped", 1)
        assert set(outcome.checkpoints) == {"LAST", "BEST", "FINAL"}

    def test_stop_now(self, train, tiny_profile, every_batch_is_shown):
        def watch(event, control):
            if in_training(event, epoch=2):
                control.stop_after_batch()

        outcome = train(tiny_profile(epochs=5), watch)
        assert (outcome.finished.reason, outcome.finished.epoch) == ("stopped", 1)
        assert "in epoch 2, after batch 1" in outcome.finished.message
        content = torch.load(outcome.checkpoints["FINAL"], weights_only=True)
        assert content["epoch"] == 1 and "in epoch 2" in content["reason"]

    @pytest.mark.parametrize("epoch", [0, 1])
    def test_stop_now_while_validating(self, train, tiny_profile, every_batch_is_shown, epoch):
        def watch(event, control):
            if isinstance(event, Progress) and (event.phase, event.epoch) == ("validate", epoch):
                control.stop_after_batch()

        outcome = train(tiny_profile(), watch)
        assert outcome.finished.reason == "stopped"
        assert "FINAL" in outcome.checkpoints

    def test_a_loss_that_is_not_finite_ends_it_with_the_last_good_weights(self, train, tiny_profile, monkeypatch):
        batches = 0

        def poisoned(pixels, mean, std):
            nonlocal batches
            images = real(pixels, mean, std)
            batches += torch.is_grad_enabled()
            return images * math.nan if batches == 4 and torch.is_grad_enabled() else images

        real = parts_module.to_images
        monkeypatch.setattr(parts_module, "to_images", poisoned)
        outcome = train(tiny_profile())
        assert outcome.finished.reason == "failed"
        assert "epoch 2, batch 1" in outcome.finished.message
        assert any("train.lr" in alert.message for alert in outcome.of(Alert))
        final, best = (weights(outcome.checkpoints[kind]) for kind in ("FINAL", "BEST"))
        assert all(torch.equal(final[name], best[name]) for name in best), "epoch 1 ended well, and nothing came after"

    def test_embeddings_that_are_not_finite_end_it_with_advice(self, train, tiny_profile, monkeypatch):
        def watch(event, control):
            if isinstance(event, EpochFinished) and event.metrics.epoch == 1:
                monkeypatch.setattr(parts_module.Parts, "embed", lambda self, pixels: real(self, pixels) * math.inf)

        real = parts_module.Parts.embed
        outcome = train(tiny_profile(epochs=5), watch)
        assert (outcome.finished.reason, outcome.finished.epoch) == ("failed", 1)
        assert "after epoch 2: the training has diverged; BEST has the weights of epoch 1" in outcome.finished.message
        assert any("lower train.lr" in alert.message for alert in outcome.of(Alert))

    def test_stop_while_loading_leaves_nothing(self, train, tiny_profile):
        def watch(event, control):
            control.stop_after_batch()

        outcome = train(tiny_profile(), watch)
        assert outcome.finished.reason == "stopped"
        assert "while loading" in outcome.finished.message
        assert not outcome.checkpoints and not outcome.of(RunStarted)

    def test_stop_after_this_epoch_said_in_the_baseline(self, train, tiny_profile, every_batch_is_shown):
        def watch(event, control):
            if isinstance(event, Progress) and event.epoch == 0:
                control.stop_after_epoch()

        outcome = train(tiny_profile(), watch)
        assert (outcome.finished.reason, [row.epoch for row in outcome.state.epochs]) == ("stopped", [0])

    def test_patience_that_ends_with_the_last_epoch_is_no_early_stop(self, train, tiny_profile):
        stopped = train(tiny_profile(epochs=30, lr=1e-12, early_stop_patience=2)).finished
        again = train(tiny_profile(epochs=stopped.epoch, lr=1e-12, early_stop_patience=2)).finished
        assert (stopped.reason, again.reason) == ("early-stop", "finished")

    def test_a_disk_that_is_full_does_not_end_it(self, train, tiny_profile, monkeypatch):
        def full(path, *arguments, **options):
            if "_BEST" in path.name:
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
            return real(path, *arguments, **options)

        real = atomic_module.atomic_write
        for module in (atomic_module, checkpoint_module):
            monkeypatch.setattr(module, "atomic_write", full)
        monkeypatch.setattr(trainer_module, "FINAL_PAUSES", (0.0,))
        outcome = train(tiny_profile())
        assert outcome.finished.reason == "finished"
        assert set(outcome.checkpoints) == {"LAST", "FINAL"}
        assert any("BEST could not be saved" in alert.title for alert in outcome.of(Alert))
        assert outcome.finished.not_saved == (f"BEST of epoch {outcome.state.best.epoch}: No space left on device",)

    def test_a_final_that_cannot_be_saved_is_a_failure(self, train, tiny_profile, monkeypatch):
        def full(path, *arguments, **options):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

        monkeypatch.setattr(checkpoint_module, "atomic_write", full)
        monkeypatch.setattr(trainer_module, "FINAL_PAUSES", (0.0,))
        outcome = train(tiny_profile())
        assert outcome.finished.reason == "failed"
        assert "FINAL could not be saved" in outcome.finished.message

    def test_an_image_that_cannot_be_read_ends_it_and_is_named(self, train, tiny_profile, tiny_set, tmp_path):
        root = tmp_path / "set"
        shutil.copytree(tiny_set, root)
        bad = root / "train" / "t2" / "t2_c0_0.png"
        bad.write_bytes(bad.read_bytes()[:100])
        outcome = train(tiny_profile(data={"root": str(root)}))
        assert outcome.finished.reason == "failed"
        assert str(bad) in outcome.finished.message
        assert "FINAL" in outcome.checkpoints


class TestKeys:
    def test_checkpoint_now(self, train, tiny_profile, every_batch_is_shown):
        def watch(event, control):
            if in_training(event, epoch=2):
                control.checkpoint()

        outcome = train(tiny_profile(), watch)
        kinds = [event.kind for event in outcome.of(CheckpointSaved)]
        assert kinds.count("LAST") == 1 + 2  # the end of each epoch saves one as well
        assert outcome.finished.reason == "finished"

    def test_pause_and_go_on(self, train, tiny_profile, every_batch_is_shown):
        held = []

        def watch(event, control):
            if in_training(event, epoch=1):
                control.pause()
            if event == Paused(event.time, paused=True):
                held.append(event.time)
                control.checkpoint()  # a checkpoint can be had while it holds
                threading.Timer(0.3, control.resume).start()
            if event == Paused(event.time, paused=False):
                held.append(event.time)

        outcome = train(tiny_profile(epochs=1), watch)
        assert held[1] - held[0] >= 0.3
        assert "LAST" in outcome.checkpoints
        baseline, epoch = (event.time for event in outcome.of(EpochFinished))
        assert outcome.state.epochs[1].seconds < epoch - baseline - 0.9 * (held[1] - held[0]), "a pause is no work"
        assert outcome.finished.reason == "finished"


class TestRunFolder:
    def test_all_is_in_plain_files(self, train, tiny_profile):
        profile = tiny_profile()
        outcome = train(profile)
        folder = outcome.folder
        assert folder.name.startswith("tiny_RN-tiny_dataset_e2_lr1e-3_b8_")
        assert Profile.model_validate(tomllib.loads((folder / "profile.toml").read_text())) == profile
        replayed = reduce(fold, map(from_json, (folder / "events.jsonl").read_text().splitlines()), RunState())
        assert replayed.finished == outcome.finished
        assert repr(replayed.epochs) == repr(outcome.state.epochs)
        with (folder / "metrics.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [row["epoch"] for row in rows] == ["0", "1", "2"]
        assert float(rows[2]["mAP"]) == outcome.state.epochs[2].mAP
        assert {"ce", "triplet", "loss", "lr", "classifier_lr", "images_per_second", "seconds"} <= set(rows[0])
        assert "all epochs done" in (folder / "run.log").read_text()

    def test_runs_never_overwrite_each_other(self, train, tiny_profile):
        assert len({train(tiny_profile(epochs=1)).folder for _ in range(2)}) == 2

    def test_best_loads_in_open_clip(self, train, tiny_profile):
        outcome = train(tiny_profile())
        content = torch.load(outcome.checkpoints["BEST"], weights_only=True)
        assert content["epoch"] == outcome.state.best.epoch
        assert content["metrics"]["rank1"] == outcome.state.best.rank1
        assert content["identity_names"] == ["t0", "t1", "t2", "t3"]
        model = open_clip.create_model(content["open_clip_model"], pretrained=str(outcome.checkpoints["BEST"]))
        assert all(torch.equal(value, content["state_dict"][name]) for name, value in model.state_dict().items())

    def test_a_folder_that_cannot_be_made_is_said(self, train, tiny_profile, tmp_path):
        (tmp_path / "runs").write_text("a file is in the way")
        outcome = train(tiny_profile())
        assert outcome.finished.reason == "failed"
        assert str(tmp_path / "runs") in outcome.finished.message


class TestData:
    def test_validation_on_held_out_identities_keeps_them_out_of_training(self, train, tiny_profile):
        outcome = train(tiny_profile(epochs=1, validate={"on": "held-out", "held_out_share": 0.5}))
        started = outcome.state.started
        assert (started.identities, started.train_images) == (2, 10)
        assert (started.gallery_images, started.query_images) == (2, 8)
        assert "held out of train/ (2 identities)" in started.validated_on

    def test_validation_on_the_test_split_is_said(self, train, tiny_profile):
        outcome = train(tiny_profile(epochs=1))
        assert outcome.state.started.validated_on == "query0/gallery0 (test split)"
        assert outcome.state.epochs[1].split == "test"
        assert "test R-1/5/10" in (outcome.folder / "run.log").read_text()

    def test_splits_that_share_their_images_embed_them_once(self, train, tiny_profile, tiny_set, tmp_path):
        root = tmp_path / "set"
        shutil.copytree(tiny_set, root)
        for kind in ("query", "gallery"):
            shutil.copytree(root / f"{kind}0", root / f"{kind}1", copy_function=os.link)
        data = {"root": str(root)}
        one, two = (train(tiny_profile(epochs=1, data=data, validate={"splits": splits})) for splits in ((0,), (0, 1)))
        assert two.state.epochs[1].queries == 2 * one.state.epochs[1].queries
        assert two.state.epochs[1].mAP == one.state.epochs[1].mAP
        assert {event.total for event in two.of(Progress) if event.phase == "validate"} == {9}

    def test_cameras_are_taken_from_file_names(self, train, tiny_profile):
        # The gallery holds image 0 of camera 0; of the queries, image 1 is of camera 1 and image 2 of camera 0.
        outcome = train(tiny_profile(epochs=1, data={"camera_pattern": r"_c(\d)"}))
        assert (outcome.state.epochs[1].queries, outcome.state.epochs[1].queries_without_match) == (3, 3)

    def test_a_last_batch_of_one_image(self, train, tiny_profile, tmp_path):
        root = draw_set(tmp_path / "nine", {"a": 5, "b": 4}, {"x": 2, "y": 2})
        outcome = train(tiny_profile(data={"root": str(root)}, epochs=1))
        assert (outcome.finished.reason, outcome.state.started.batches_per_epoch) == ("finished", 1)

    @pytest.mark.parametrize(
        ("train_images", "test_images", "words"),
        [
            ({"only": 4}, {"x": 2}, "one identity"),
            ({"a": 2, "b": 2}, {"x": 1}, "query0"),
        ],
    )
    def test_data_that_cannot_be_trained_on(self, train, tiny_profile, tmp_path, train_images, test_images, words):
        root = draw_set(tmp_path / "set", train_images, test_images)
        outcome = train(tiny_profile(data={"root": str(root)}))
        assert outcome.finished.reason == "failed"
        assert words in outcome.finished.message
        assert [type(event) for event in outcome.said[-2:]] == [Alert, RunFinished]

    def test_queries_that_have_no_match_at_all(self, train, tiny_profile, tiny_set, tmp_path):
        shutil.copytree(tiny_set, tmp_path / "set")
        for name in ("v0", "v1", "v2"):
            (tmp_path / "set" / "query0" / name).rename(tmp_path / "set" / "query0" / f"other-{name}")
        outcome = train(tiny_profile(data={"root": str(tmp_path / "set")}))
        assert "No query has a match" in outcome.finished.message

    def test_identities_with_one_image_are_counted(self, train, tiny_profile, tmp_path):
        root = draw_set(tmp_path / "set", {"a": 4, "b": 1, "c": 1}, {"x": 2, "y": 2})
        outcome = train(tiny_profile(data={"root": str(root)}, sampler="pk", epochs=1))
        assert any("2 identities have no positive" in alert.message for alert in outcome.of(Alert))


def test_the_best_row_is_never_the_baseline():
    state = fold(RunState(), EpochFinished(0.0, EpochMetrics(0, rank1=1.0)))
    assert state.best is None
