"""The model: what is trained, which sizes it takes, which variant of it is built."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch.nn import functional as F

from core.architectures import import_open_clip, known_name
from core.errors import DataError, WeightsError
from core.model import ReidModel, build_model
from core.profile import Model
from tests.core import tiny_clip


@pytest.fixture(scope="module")
def open_clip(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_clip.register(tmp_path_factory.mktemp("configs"))


@pytest.fixture(scope="module")
def rn_tiny() -> ReidModel:
    torch.manual_seed(0)
    return build_model(Model(name="RN-tiny"), (96, 96))


def has_quick_gelu(model: ReidModel) -> bool:
    return any(type(module).__name__ == "QuickGELU" for module in model.visual.modules())


def test_rn_tiny_gives_embeddings(rn_tiny: ReidModel) -> None:
    assert rn_tiny.embedding_dim == 256
    assert rn_tiny(torch.rand(2, 3, 96, 96)).shape == (2, 256)
    assert rn_tiny.open_clip_name == "RN-tiny"
    assert all(parameter.dtype == torch.float32 for parameter in rn_tiny.clip.parameters())


def test_only_the_visual_tower_is_trained(rn_tiny: ReidModel) -> None:
    trained = {name for name, parameter in rn_tiny.clip.named_parameters() if parameter.requires_grad}
    assert trained and all(name.startswith("visual.") for name in trained)
    assert {id(parameter) for parameter in rn_tiny.parameters()} == {
        id(parameter) for name, parameter in rn_tiny.clip.named_parameters() if name.startswith("visual.")
    }
    assert not cast(Any, rn_tiny.clip).logit_scale.requires_grad


def test_only_the_visual_tower_moves_to_the_device(open_clip: Any) -> None:
    model = build_model(Model(name="tiny-vit"), (32, 32)).to("meta")
    devices = {name: parameter.device.type for name, parameter in model.clip.named_parameters()}
    assert {device for name, device in devices.items() if name.startswith("visual.")} == {"meta"}
    assert {device for name, device in devices.items() if not name.startswith("visual.")} == {"cpu"}


def test_train_mode_reaches_the_visual_tower_only(open_clip: Any) -> None:
    model = build_model(Model(name="tiny-vit"), (32, 32))
    assert model.visual.training
    assert not cast(Any, model.clip).transformer.training
    model.eval()
    assert not model.visual.training
    model.train()
    assert model.visual.training and not cast(Any, model.clip).transformer.training


def test_the_probe_leaves_batch_norm_alone() -> None:
    norms = [
        module
        for module in build_model(Model(name="RN-tiny"), (96, 96)).modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    ]
    assert norms
    for norm in norms:
        assert norm.num_batches_tracked is not None and norm.num_batches_tracked == 0
        assert norm.running_mean is not None and not norm.running_mean.any()


@pytest.mark.parametrize("size", [(96, 96), (128, 64)])
def test_initialisation_follows_the_global_seed(size: tuple[int, int]) -> None:
    states = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        states.append(build_model(Model(name="RN-tiny"), size).clip.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    key = "visual.attnpool.positional_embedding"
    assert not torch.equal(states[0][key], states[2][key])


def test_a_transposed_batch_is_refused(open_clip: Any) -> None:
    model = build_model(Model(name="tiny-vit"), (64, 32))
    assert model(torch.rand(1, 3, 64, 32)).shape == (1, 24)
    with pytest.raises(DataError, match=r"\(B, 3, 64, 32\).*\(1, 3, 32, 64\)"):
        model(torch.rand(1, 3, 32, 64))


@pytest.mark.parametrize(
    ("name", "size", "fitting"),
    [
        ("tiny-vit", (250, 128), r"\[240, 128\] or \[256, 128\]"),
        ("tiny-vit", (128, 250), r"\[128, 240\] or \[128, 256\]"),
        ("tiny-vit", (16, 17), r"\[16, 16\] or \[16, 32\]"),
        ("RN-tiny", (100, 96), r"\[96, 96\] or \[128, 96\]"),
        ("RN-tiny", (16, 96), r"set data.image_size to \[32, 96\]$"),
        ("tiny-timm", (100, 160), r"\[96, 160\] or \[112, 160\]"),
        ("tiny-convnext", (160, 100), r"\[160, 96\] or \[160, 128\]"),
    ],
)
def test_a_size_that_would_be_cut_is_refused(open_clip: Any, name: str, size: tuple[int, int], fitting: str) -> None:
    with pytest.raises(WeightsError, match=fitting):
        build_model(Model(name=name), size)


@pytest.mark.parametrize("name", ["tiny-timm", "tiny-convnext"])
def test_timm_towers_take_other_sizes(open_clip: Any, name: str) -> None:
    model = build_model(Model(name=name), (96, 64))
    assert model.embedding_dim == 24
    assert model(torch.rand(2, 3, 96, 64)).shape == (2, 24)


def test_a_size_that_a_tower_trips_over_is_a_weights_error(open_clip: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise AssertionError("grid of 3 is odd")

    monkeypatch.setattr(open_clip.model.TimmModel, "set_input_size", broken)
    with pytest.raises(WeightsError, match="does not take images of 96x64: grid of 3 is odd"):
        build_model(Model(name="tiny-timm"), (96, 64))


def test_the_probe_finds_what_nothing_else_refuses(open_clip: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any, images: torch.Tensor) -> torch.Tensor:
        raise AssertionError(f"window does not divide {images.shape[-1]}")

    monkeypatch.setattr(open_clip.model.TimmModel, "forward", broken)
    with pytest.raises(WeightsError, match=r"images of 96x64: window does not divide 64; its own size is \[160, 160\]"):
        build_model(Model(name="tiny-timm"), (96, 64))
    monkeypatch.setattr(open_clip.model.TimmModel, "forward", lambda _, images: images)
    with pytest.raises(WeightsError, match=r"gives \(1, 3, 96, 64\) for one image"):
        build_model(Model(name="tiny-timm"), (96, 64))


def test_the_first_of_several_outputs_is_the_embedding(open_clip: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_clip.model.TimmModel, "forward", lambda _, images: (images.mean(dim=(2, 3)), images))
    assert build_model(Model(name="tiny-timm"), (96, 64)).embedding_dim == 3  # as CoCa's towers have it


def test_rn50_takes_256x128() -> None:
    model = build_model(Model(name="RN50"), (256, 128))
    assert model.embedding_dim == 1024
    assert cast(Any, model.visual).attnpool.positional_embedding.shape[0] == 8 * 4 + 1


def test_rn_positions_are_resampled_by_rows(tmp_path: Path, open_clip: Any) -> None:
    state = tiny_clip.plain_state(open_clip, "RN-tiny")
    key = "visual.attnpool.positional_embedding"
    torch.save(state, tmp_path / "rn.pt")
    model = build_model(Model(name="RN-tiny", pretrained=str(tmp_path / "rn.pt")), (192, 64))
    loaded = model.clip.state_dict()[key]
    image = state[key][1:].T.reshape(1, -1, 3, 3)
    expected = F.interpolate(image, size=(6, 2), mode="bicubic", antialias=True)[0].flatten(1).T
    assert torch.equal(loaded[0], state[key][0])
    torch.testing.assert_close(loaded[1:], expected)


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(WeightsError, match=r"nearest: .*ViT-B-16"):
        build_model(Model(name="vit-b-61"), (224, 224))
    with pytest.raises(WeightsError, match="nearest: RN-tiny"):
        known_name("rn-tyni")


@pytest.mark.parametrize("name", ["hf-hub:org/model", "local-dir:/models/clip"])
def test_schemas_are_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(WeightsError, match=r"set model\.name to the architecture"):
        build_model(Model(name=name), (224, 224))


def test_a_slash_in_a_name_is_a_dash() -> None:
    assert known_name("ViT-B/16") == "ViT-B-16"


@pytest.mark.parametrize(
    ("name", "stated", "built"),
    [
        ("tiny-vit", "auto", "tiny-vit"),
        ("tiny-vit", "no", "tiny-vit"),
        ("tiny-vit", "yes", "tiny-vit-quickgelu"),
        ("tiny-vit-quickgelu", "auto", "tiny-vit-quickgelu"),
        ("tiny-vit-quickgelu", "yes", "tiny-vit-quickgelu"),
        ("tiny-solo", "no", "tiny-solo"),
    ],
)
def test_without_weights_the_profile_picks_the_variant(open_clip: Any, name: str, stated: Any, built: str) -> None:
    model = build_model(Model(name=name, quick_gelu=stated), (32, 32))
    assert model.open_clip_name == built
    assert has_quick_gelu(model) == built.endswith("-quickgelu")
    assert model.pretrained.startswith("none")


@pytest.mark.parametrize(("name", "stated"), [("tiny-vit-quickgelu", "no"), ("tiny-solo", "yes"), ("RN-tiny", "yes")])
def test_a_profile_that_contradicts_itself_is_refused(open_clip: Any, name: str, stated: Any) -> None:
    with pytest.raises(WeightsError, match="QuickGELU"):
        build_model(Model(name=name, quick_gelu=stated), (32, 32))


def test_the_architecture_is_package_data() -> None:
    import core

    assert (Path(core.__file__).parent / "models" / "RN-tiny.json").is_file()
    assert "RN-tiny" in import_open_clip().list_models()


def broken_open_clip(folder: Path, monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    """Put a package `open_clip` first that runs one statement when it is imported."""
    (folder / "open_clip").mkdir()
    (folder / "open_clip" / "__init__.py").write_text(statement + "\n")
    for module in [name for name in sys.modules if name.partition(".")[0] == "open_clip"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.syspath_prepend(folder)


def test_torch_and_torchvision_that_do_not_match(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_open_clip(tmp_path, monkeypatch, "raise RuntimeError('operator torchvision::nms does not exist')")
    installed = {"torch": "2.9.1+cu128", "torchvision": "0.21.0+cpu"}
    monkeypatch.setattr("importlib.metadata.version", installed.__getitem__)
    with pytest.raises(WeightsError) as caught:
        build_model(Model(name="RN-tiny"), (96, 96))
    assert "torch 2.9.1+cu128 and torchvision 0.21.0+cpu do not match" in caught.value.message
    assert "python -m pip install --force-reinstall 'torch==2.9.1' torchvision" in caught.value.message


def test_a_missing_open_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_open_clip(tmp_path, monkeypatch, "import no_such_module_at_all")
    with pytest.raises(WeightsError, match=r"no_such_module_at_all.*pip install 'open_clip_torch"):
        import_open_clip()
