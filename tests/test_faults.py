"""What a run does when images vanish or memory runs out: real files, changed while it runs."""

from __future__ import annotations

import math
import shutil
from types import SimpleNamespace

import pytest
import torch

from core import parts as parts_module
from core import step as step_module
from core import trainer as trainer_module
from core.data import shelf as shelf_module
from core.data import unreadable as unreadable_module
from core.events import Alert, EpochFinished, Progress
from core.faults import explain, smaller_batch
from core.samplers import shuffle_batches
from tests.test_resume import assert_equal, results, resume, stop_at


@pytest.fixture(autouse=True)
def every_batch_is_shown(monkeypatch):
    monkeypatch.setattr(trainer_module, "DISPLAY_INTERVAL", 0.0)


@pytest.fixture
def nothing_is_kept(monkeypatch):
    """Images are decoded anew in each epoch, as where they are more than the memory takes."""
    monkeypatch.setattr(parts_module, "Shelves", lambda *_, **__: shelf_module.Shelves(memory=0))


@pytest.fixture
def root(tiny_set, tmp_path):
    """20 training images of 4 identities, 6 queries, 3 gallery images; a test may spoil them."""
    return shutil.copytree(tiny_set, tmp_path / "set")


def cut_short(path):
    path.write_bytes(path.read_bytes()[:100])


def delete(path):
    path.unlink()


def after_epoch(number, action):
    def watch(event, control):
        if isinstance(event, EpochFinished) and event.metrics.epoch == number:
            action()

    return watch


def leave_out(root, **data):
    return {"root": str(root), "unreadable_images": "leave-out", **data}


def named(alerts, path):
    return [alert for alert in alerts if alert.title == "Image left out" and str(path) in alert.message]


@pytest.mark.usefixtures("nothing_is_kept")
class TestImages:
    @pytest.mark.parametrize("spoil", [cut_short, delete])
    def test_one_that_goes_bad_ends_the_run_which_goes_on_without_it_when_told_so(
        self, train, tiny_profile, root, spoil
    ):
        bad = root / "train" / "t2" / "t2_c0_0.png"
        outcome = train(tiny_profile(epochs=3, data={"root": str(root)}), after_epoch(1, lambda: spoil(bad)))
        assert (outcome.finished.reason, outcome.finished.epoch) == ("failed", 1)
        assert str(bad) in outcome.finished.message
        assert 'data.unreadable_images = "leave-out"' in outcome.finished.message
        assert "FINAL" in outcome.checkpoints
        assert resume(outcome.folder)[0].reason == "failed"
        finished, state, _ = resume(outcome.folder, "data.unreadable_images=leave-out")
        assert (finished.reason, finished.epoch) == ("finished", 3)
        assert [row.left_out for row in state.epochs] == [0, 0, 1, 1]

    def test_one_that_comes_while_the_run_is_down_is_not_trained_on(self, train, tiny_profile, root):
        profile = tiny_profile(epochs=2, data={"root": str(root)})
        whole = train(profile)
        cut = train(profile, stop_at("train", 1, 2))
        shutil.copy(root / "train" / "t0" / "t0_c0_0.png", root / "train" / "t0" / "another.png")
        finished, state, _ = resume(cut.folder)
        assert finished.reason == "finished"
        assert "0 images have gone, and 1 have come" in next(a.message for a in state.alerts if "changed" in a.title)
        assert_equal(results(cut.folder), results(whole.folder))

    @pytest.mark.parametrize("spoil", [cut_short, delete])
    def test_left_out_they_are_named_once_and_counted_in_each_epoch(self, train, tiny_profile, root, spoil):
        bad = [root / "train" / "t2" / "t2_c0_0.png", root / "query0" / "v1" / "v1_c1_1.png"]
        outcome = train(
            tiny_profile(epochs=3, data=leave_out(root)),
            after_epoch(1, lambda: [spoil(path) for path in bad]),
        )
        assert outcome.finished.reason == "finished"
        assert [row.left_out for row in outcome.state.epochs] == [0, 0, 2, 2]
        assert [row.queries for row in outcome.state.epochs] == [6, 6, 5, 5]
        alerts = outcome.of(Alert)
        assert len(alerts) == 2 and {alert.level for alert in alerts} == {"warning"}
        assert all(len(named(alerts, path)) == 1 for path in bad)
        log = (outcome.folder / "run.log").read_text()
        assert log.count("2 images left out\n") == 2 and "2 images left out of epoch 3" in outcome.finished.message
        assert (outcome.folder / "metrics.csv").read_text().splitlines()[0].endswith(",left_out")

    def test_it_comes_back_when_it_can_be_read_again(self, train, tiny_profile, root):
        bad, aside = root / "train" / "t2" / "t2_c0_0.png", root / "aside"
        away, back = after_epoch(1, lambda: bad.rename(aside)), after_epoch(2, lambda: aside.rename(bad))

        def watch(event, control):
            away(event, control)
            back(event, control)

        outcome = train(tiny_profile(epochs=3, data=leave_out(root)), watch)
        assert [row.left_out for row in outcome.state.epochs] == [0, 0, 1, 0]
        assert outcome.finished.message == "all epochs done"

    def test_losses_are_means_over_the_images_that_were_trained_on(self, train, tiny_profile, root):
        cut_short(root / "train" / "t2" / "t2_c0_0.png")
        left = train(tiny_profile(epochs=1, lr=1e-9, batch_size=32, data=leave_out(root)))
        (root / "train" / "t2" / "t2_c0_0.png").unlink()
        gone = train(tiny_profile(epochs=1, lr=1e-9, batch_size=32, data=leave_out(root)))
        assert left.state.epochs[1].ce == pytest.approx(gone.state.epochs[1].ce, rel=1e-4)
        assert (left.state.epochs[1].left_out, gone.state.epochs[1].left_out) == (1, 0)

    def test_rankings_are_those_of_a_set_without_it(self, train, tiny_profile, root):
        for kind in ("query", "gallery"):
            shutil.copytree(root / f"{kind}0", root / f"{kind}1")
        bad = [root / "query0" / "v0" / "v0_c1_1.png", root / "gallery1" / "v1" / "v1_c0_0.png"]
        for path in bad:
            cut_short(path)
        options = {"epochs": 1, "validate": {"splits": (0, 1)}, "data": leave_out(root, camera_pattern=r"_c(\d)")}
        left = train(tiny_profile(**options)).state.epochs
        for path in bad:
            path.unlink()
        gone = train(tiny_profile(**options)).state.epochs
        assert [row.left_out for row in left] == [2, 2] and [row.left_out for row in gone] == [0, 0]
        for row, other in zip(left, gone, strict=True):
            assert (row.queries, row.queries_without_match) == (other.queries, other.queries_without_match) == (4, 7)
            assert (row.rank1, row.mAP, row.mINP) == (other.rank1, other.mAP, other.mINP)

    def test_a_batch_that_is_left_with_one_image_is_passed_over(self, train, tiny_profile, root, monkeypatch):
        first, second, *_ = shuffle_batches(20, 2, seed=0, epoch=1)
        paths = sorted((root / "train").rglob("*.png"))
        for index in (first[0], *second):
            cut_short(paths[index])
        sizes = []

        def train_on(self, indices, pixels, *place):
            sizes.append(len(indices))
            # The third that is trained on is the fifth of the epoch, and that is what a message must call it.
            real(self, indices, pixels if len(sizes) < 3 else pixels * math.nan, *place)

        real = parts_module.Parts.train_on
        monkeypatch.setattr(parts_module.Parts, "train_on", train_on)
        outcome = train(tiny_profile(epochs=1, batch_size=2, data=leave_out(root)))
        assert set(sizes) == {2}
        assert "not finite in epoch 1, batch 5" in outcome.finished.message
        monkeypatch.setattr(parts_module.Parts, "train_on", real)
        outcome = train(tiny_profile(epochs=1, batch_size=2, data=leave_out(root)))
        assert outcome.finished.message == "the epoch is done; 3 images left out of epoch 1"
        shown = [event for event in outcome.of(Progress) if event.phase == "train"]
        assert [event.done for event in shown] == list(range(1, 11))
        assert [math.isnan(event.loss) for event in shown] == [True, True] + [False] * 8

    @pytest.mark.parametrize("where", ["train", "query0", "gallery0"])
    def test_a_disk_that_is_gone_ends_it_in_plain_words(self, train, tiny_profile, tiny_set, root, where, monkeypatch):
        monkeypatch.setattr(unreadable_module, "NAMED", 2)
        outcome = train(
            tiny_profile(epochs=3, data=leave_out(root)), after_epoch(1, lambda: shutil.rmtree(root / where))
        )
        assert (outcome.finished.reason, outcome.finished.epoch) == ("failed", 1)
        words = {"train": "20 of 20 training images could not be read in epoch 2"}
        assert words.get(where, "No query has a match: query0/gallery0") in outcome.finished.message
        assert [alert.title for alert in outcome.of(Alert)][:3] == ["Image left out"] * 2 + ["More images are left out"]
        assert len(outcome.of(Alert)) == 4, "the last one tells why the run ended"
        assert "FINAL" in outcome.checkpoints
        shutil.copytree(tiny_set / where, root / where)
        finished, state, _ = resume(outcome.folder)
        assert (finished.reason, state.epochs[-1].left_out) == ("finished", 0), "the disk is back"

    def test_nothing_at_all_to_validate_on(self, train, tiny_profile, root):
        for path in root.glob("*0/*/*.png"):
            cut_short(path)
        message = train(tiny_profile(data=leave_out(root))).finished.message
        assert "all 9 images of query and gallery are left out" in message

    def test_a_link_that_leads_nowhere_is_left_out_from_the_start(self, train, tiny_profile, root):
        for folder in ("train/t0", "gallery0/v0"):
            (root / folder / "broken.png").symlink_to(root / "nowhere.png")
        assert "broken.png" in train(tiny_profile(data={"root": str(root)})).finished.message
        outcome = train(tiny_profile(data=leave_out(root)))
        assert (outcome.finished.reason, outcome.state.epochs[1].left_out) == ("finished", 2)
        assert len(outcome.of(Alert)) == 2

    @pytest.mark.parametrize("sampler", ["shuffle", "pk"])
    def test_cut_and_resumed_it_ends_bit_identical(self, train, tiny_profile, root, sampler):
        for path in ("train/t2/t2_c0_0.png", "train/t1/t1_c1_1.png", "query0/v1/v1_c1_1.png"):
            cut_short(root / path)
        options = {"epochs": 3, "sampler": sampler, "images_per_identity": 2, "data": leave_out(root)}
        whole = train(tiny_profile(**options))
        assert [row.left_out for row in whole.state.epochs] == [1, 3, 3, 3]
        cut = train(tiny_profile(**options), stop_at("train", 2, 2))
        for place in (("validate", 2, 8), ("train", 3, 1)):
            assert resume(cut.folder, watch=stop_at(*place))[0].reason == "stopped"
        assert resume(cut.folder)[0].reason == "finished"
        assert_equal(results(cut.folder), results(whole.folder))

    def test_a_run_that_was_begun_before_they_were_counted_resumes(self, train, tiny_profile, root):
        whole = train(tiny_profile(epochs=2, data=leave_out(root)))
        cut = train(tiny_profile(epochs=2, data=leave_out(root)), stop_at("train", 2, 2))
        content = torch.load(cut.checkpoints["LAST"], weights_only=True)
        del content["resume"]["left_out"]
        for row in content["resume"]["history"]:
            del row["left_out"]
        torch.save(content, cut.checkpoints["LAST"])
        assert resume(cut.folder)[0].reason == "finished"
        assert_equal(results(cut.folder), results(whole.folder))


def full_memory(kind):
    """What torch and Python really raise; for a GPU, what its allocator would."""
    if kind == "gpu":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    if kind == "torch":
        torch.empty(1 << 46)
    if kind == "python":
        bytearray(1 << 62)


class TestMemory:
    @pytest.mark.parametrize("kind", ["gpu", "torch", "python"])
    def test_it_ends_with_the_weights_of_before_and_words_with_numbers(self, train, tiny_profile, monkeypatch, kind):
        whole = train(tiny_profile(epochs=3))
        batches, before = [], {}

        def train_on(self, indices, pixels, *place):
            batches.append(indices)
            if len(batches) == 5:  # of three in an epoch
                before.update({name: value.clone() for name, value in self.model.clip.state_dict().items()})
                full_memory(kind)
            real(self, indices, pixels, *place)

        real = parts_module.Parts.train_on
        monkeypatch.setattr(parts_module.Parts, "train_on", train_on)
        outcome = train(tiny_profile(epochs=3))
        assert (outcome.finished.reason, outcome.finished.epoch) == ("failed", 1)
        message = outcome.finished.message
        assert message.startswith("Out of GPU memory: " if kind == "gpu" else "Out of memory: ")
        assert "batches of 8 images of 32x32 in fp32 did not fit on cpu" in message
        assert "train.batch_size = 4, or a data.image_size below [32, 32]" in message
        assert "Launch anew with train.micro_batch = 4 (the loss still sees the whole batch), or " in message
        assert outcome.checkpoints["FINAL"].name in message and "bf16" not in message
        [alert] = outcome.of(Alert)
        assert f"{alert.title}: {alert.message}" == message
        content = torch.load(outcome.checkpoints["FINAL"], weights_only=True)
        final = {**content["state_dict"], **content["exact_positions"]}
        assert final.keys() == before.keys() and all(torch.equal(final[name], before[name]) for name in final)
        monkeypatch.setattr(parts_module.Parts, "train_on", real)
        assert resume(outcome.folder)[0].reason == "finished"
        assert_equal(results(outcome.folder), results(whole.folder))

    def test_what_went_wrong_first_is_told_though_nothing_can_be_saved_any_more(self, train, tiny_profile, monkeypatch):
        def lost(self):
            raise RuntimeError("the device is lost")

        def train_on(self, *_):
            monkeypatch.setattr(step_module.TrainStep, "keep_good", lost)
            full_memory("gpu")

        monkeypatch.setattr(parts_module.Parts, "train_on", train_on)
        outcome = train(tiny_profile())
        assert outcome.finished.reason == "failed" and outcome.finished.message.startswith("Out of GPU memory: ")
        assert ("FINAL could not be saved", "the device is lost") in [
            (alert.title, alert.message) for alert in outcome.of(Alert)
        ]

    def test_a_model_that_does_not_fit(self, train, tiny_profile, monkeypatch):
        monkeypatch.setattr(parts_module, "build_model", lambda *_: full_memory("gpu"))
        outcome = train(tiny_profile())
        assert "Out of GPU memory: RN-tiny itself did not fit" in outcome.finished.message
        assert not outcome.checkpoints

    @pytest.mark.parametrize(
        ("device", "precision", "advised"),
        [("cuda:0", "fp32", True), ("cuda:0", "bf16", False), ("cpu", "fp32", False)],
    )
    def test_half_the_precision_is_advised_where_it_would_help(
        self, tiny_profile, tmp_path, device, precision, advised
    ):
        trainer = trainer_module.Trainer(tiny_profile(), tmp_path, print)
        trainer.built = True
        trainer.parts = SimpleNamespace(device=torch.device(device), precision=precision)
        for error in (torch.OutOfMemoryError(), RuntimeError("CUDA error: out of memory")):
            fault = explain(error, trainer)
            assert fault.title == "Out of GPU memory" and not fault.unforeseen
            assert ('run.precision = "bf16"' in fault.message) is advised
            assert f"in {precision} did not fit on {device}" in fault.message
            assert "FINAL could not be saved" in fault.message

    @pytest.mark.parametrize("options", [{}, {"sampler": "pk", "images_per_identity": 4}])
    def test_the_batch_size_that_is_advised_is_one_the_profile_takes(self, tiny_profile, options):
        sizes = [64]
        while smaller := smaller_batch(tiny_profile(**options, batch_size=sizes[-1]).train):
            sizes.append(smaller)
        assert sizes == ([64, 32, 16, 8] if options else [64, 32, 16, 8, 4, 2])
        assert smaller_batch(tiny_profile(sampler="pk", images_per_identity=6, batch_size=30).train) == 12
