"""Checkpoints: read back exactly here, and loaded by open_clip itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from core.checkpoint import load_checkpoint, restore_model, save_checkpoint
from core.errors import WeightsError
from core.model import ReidModel, build_model
from core.profile import Model
from tests.core import tiny_clip

PROFILE = {"run": {"name": "demo"}, "validate": {"splits": [0, 1]}}


@pytest.fixture(scope="module")
def open_clip(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_clip.register(tmp_path_factory.mktemp("configs"))


def trained(name: str, size: tuple[int, int]) -> ReidModel:
    """A model that no initialisation gives: every tensor of the tower moved, statistics of BatchNorm too."""
    model = build_model(Model(name=name), size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
        model.train()
        model(torch.rand(4, 3, *size))
    return model


def save(path: Path, model: ReidModel, **changes: Any) -> nn.Linear:
    classifier = nn.Linear(model.embedding_dim, 3)
    arguments: dict[str, Any] = {
        "identity_names": ["0001", "0002", "0009"],
        "profile": PROFILE,
        "epoch": 7,
        "metrics": {"rank1": 0.5, "mAP": 0.25},
        "reason": "best Rank-1",
        **changes,
    }
    save_checkpoint(path, model, classifier, **arguments)
    return classifier


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("RN-tiny", (96, 96)),
        ("RN-tiny", (128, 64)),
        ("RN-tiny", (128, 128)),
        ("tiny-vit-quickgelu", (32, 32)),
        ("tiny-vit", (64, 32)),
        ("tiny-timm", (96, 64)),
        ("tiny-convnext", (64, 96)),
    ],
)
def test_a_model_is_restored_exactly(tmp_path: Path, open_clip: Any, name: str, size: tuple[int, int]) -> None:
    model = trained(name, size)
    save(tmp_path / "c.pth", model)
    restored = restore_model(load_checkpoint(tmp_path / "c.pth"))
    assert (restored.open_clip_name, restored.image_size) == (name, size)
    assert (restored.mean, restored.std) == (model.mean, model.std)
    before, after = model.clip.state_dict(), restored.clip.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert torch.equal(tiny_clip.embed(restored, size), tiny_clip.embed(model, size))


@pytest.mark.parametrize(
    ("name", "size", "forced"),
    [
        ("RN-tiny", (96, 96), None),
        ("RN-tiny", (128, 128), 128),
        ("tiny-vit", (32, 32), None),
        ("tiny-vit-quickgelu", (64, 32), (64, 32)),
        ("tiny-convnext", (64, 96), (64, 96)),
    ],
)
def test_open_clip_loads_it_and_embeds_the_same(
    tmp_path: Path, open_clip: Any, name: str, size: tuple[int, int], forced: Any
) -> None:
    model = trained(name, size)
    save(tmp_path / "c.pth", model)
    loaded = open_clip.create_model(name, pretrained=str(tmp_path / "c.pth"), force_image_size=forced)
    torch.testing.assert_close(tiny_clip.embed(loaded.visual, size), tiny_clip.embed(model, size))


@pytest.mark.parametrize(
    ("name", "size", "native"), [("RN-tiny", (128, 64), (96, 96)), ("tiny-timm", (96, 64), (160, 160))]
)
def test_open_clip_loads_it_at_the_native_size_where_it_builds_no_other(
    tmp_path: Path, open_clip: Any, name: str, size: tuple[int, int], native: tuple[int, int]
) -> None:
    model = trained(name, size)
    save(tmp_path / "c.pth", model)
    loaded = open_clip.create_model(name, pretrained=str(tmp_path / "c.pth"))
    assert tiny_clip.embed(loaded.visual, native).shape == (2, model.embedding_dim)
    own, theirs = model.clip.state_dict(), loaded.state_dict()
    assert [key for key in own if not torch.equal(own[key], theirs[key])] == list(
        torch.load(tmp_path / "c.pth", weights_only=True)["exact_positions"]
    )


def test_a_profile_can_start_from_it_at_another_size(tmp_path: Path, open_clip: Any) -> None:
    save(tmp_path / "c.pth", trained("RN-tiny", (128, 64)))
    model = build_model(Model(name="RN-tiny", pretrained=str(tmp_path / "c.pth")), (64, 128))
    assert cast(Any, model.visual).attnpool.positional_embedding.shape[0] == 2 * 4 + 1


def test_everything_else_comes_back(tmp_path: Path, open_clip: Any) -> None:
    model = build_model(Model(name="tiny-vit"), (32, 32))
    extra = {"optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-5}]}}
    classifier = save(tmp_path / "c.pth", model, metrics={"rank1": np.float64(0.5), "mAP": float("nan")}, extra=extra)
    checkpoint = load_checkpoint(tmp_path / "c.pth")
    assert checkpoint.identity_names == ("0001", "0002", "0009")
    assert checkpoint.profile == PROFILE
    assert (checkpoint.epoch, checkpoint.reason) == (7, "best Rank-1")
    assert checkpoint.metrics["rank1"] == 0.5 and np.isnan(checkpoint.metrics["mAP"])
    assert torch.equal(checkpoint.classifier["weight"], classifier.weight)
    assert checkpoint.extra == extra


def test_only_tensors_and_plain_values_in_fp32(tmp_path: Path, open_clip: Any) -> None:
    model = build_model(Model(name="tiny-vit"), (32, 32))
    model.visual.half()
    save(tmp_path / "c.pth", model)
    content = torch.load(tmp_path / "c.pth", weights_only=True)
    assert content["format"] == 1
    assert content["image_size"] == [32, 32] and len(content["mean"]) == len(content["std"]) == 3
    assert {value.dtype for value in content["state_dict"].values()} == {torch.float32}
    assert all(value.is_contiguous() and not value.requires_grad for value in content["state_dict"].values())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float16}  # the model is not changed


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"extra": {"epoch": 1}}, ValueError),
        ({"extra": {"rng": np.zeros(2)}}, TypeError),
        ({"profile": {"run": {"dir": Path("runs")}}}, TypeError),
        ({"identity_names": ["0001"]}, ValueError),
    ],
)
def test_what_could_not_be_read_back_is_not_saved(
    tmp_path: Path, open_clip: Any, changes: dict[str, Any], error: type[Exception]
) -> None:
    model = build_model(Model(name="tiny-vit"), (32, 32))
    with pytest.raises(error):
        save(tmp_path / "c.pth", model, **changes)
    assert not list(tmp_path.iterdir())


def test_an_older_checkpoint_survives_a_full_disk(
    tmp_path: Path, open_clip: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build_model(Model(name="tiny-vit"), (32, 32))
    save(tmp_path / "c.pth", model)
    before = (tmp_path / "c.pth").read_bytes()

    def full(_: Any, file: Any) -> None:
        file.write(b"part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path / "c.pth", model, epoch=8)
    assert (tmp_path / "c.pth").read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / "c.pth"]


@dataclass
class Payload:
    value: int = 0


def test_files_of_others_are_refused(tmp_path: Path, open_clip: Any) -> None:
    save(tmp_path / "c.pth", build_model(Model(name="tiny-vit"), (32, 32)))
    content = torch.load(tmp_path / "c.pth", weights_only=True)

    def refused(name: str, reason: str) -> None:
        with pytest.raises(WeightsError, match=reason) as caught:
            load_checkpoint(tmp_path / name)
        assert name in caught.value.title

    torch.save(content["state_dict"], tmp_path / "foreign.pt")
    refused("foreign.pt", r"set model\.pretrained to the file")
    (tmp_path / "short.pth").write_bytes((tmp_path / "c.pth").read_bytes()[:-1000])
    refused("short.pth", "damaged or cut short")
    torch.save({**content, "payload": Payload()}, tmp_path / "code.pth")
    refused("code.pth", "holds code")
    torch.save({key: value for key, value in content.items() if key != "classifier"}, tmp_path / "lacks.pth")
    refused("lacks.pth", "damaged .*classifier")
    refused("none.pth", "No such file")


def test_a_model_that_open_clip_no_longer_has(tmp_path: Path, open_clip: Any) -> None:
    save(tmp_path / "c.pth", build_model(Model(name="tiny-vit"), (32, 32)))
    content = torch.load(tmp_path / "c.pth", weights_only=True)
    torch.save({**content, "open_clip_model": "ViT-Z-99"}, tmp_path / "c.pth")
    with pytest.raises(WeightsError, match="ViT-Z-99"):
        restore_model(load_checkpoint(tmp_path / "c.pth"))
