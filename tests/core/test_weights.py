"""Weights: read without running code, the right QuickGELU variant or a refusal, positions on the right grid."""

from __future__ import annotations

import json
import logging
import os
import pickle
import random
import re
import socket
import warnings
import zipfile
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from core.errors import WeightsError
from core.model import ReidModel, build_model
from core.profile import Model
from core.weights import read_weights
from core.weights_files import find_in_cache, read_file
from tests.core import tiny_clip
from tests.core.test_checkpoint import mutated, with_entry

SIZE = (32, 32)
POSITIONS = "visual.positional_embedding"


@pytest.fixture(scope="module")
def open_clip(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_clip.register(tmp_path_factory.mktemp("configs"))


@pytest.fixture
def state(open_clip: Any) -> dict[str, Tensor]:
    torch.manual_seed(5)
    return tiny_clip.plain_state(open_clip, "tiny-solo")


def build(path: Path, name: str = "tiny-solo", size: tuple[int, int] = SIZE, stated: Any = "auto") -> ReidModel:
    return build_model(Model(name=name, pretrained=str(path), quick_gelu=stated), size)


def own(state: dict[str, Tensor], name: str, size: tuple[int, int], **more: Any) -> dict[str, Any]:
    """What a checkpoint of this program holds of its model."""
    return {
        "format": 1,
        "state_dict": state,
        "open_clip_model": name,
        "image_size": list(size),
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        **more,
    }


def save_archive(path: Path, open_clip: Any, *, marks: bool = True) -> dict[str, Tensor]:
    """A TorchScript archive in half precision, as OpenAI's files are; gives its state."""
    model = open_clip.create_model("tiny-vit-quickgelu").eval()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    if marks:
        for name, value in (("input_resolution", 32), ("context_length", 8), ("vocab_size", 32)):
            if hasattr(model, name):
                delattr(model, name)
            model.register_buffer(name, torch.tensor(value))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing and TorchScript warn of themselves
        example = (torch.zeros(1, 3, 32, 32), torch.zeros(1, 8, dtype=torch.long))
        traced = torch.jit.trace(model, example, check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(traced.half(), str(path))
    return state


# Files of every kind


@pytest.mark.parametrize(
    ("suffix", "wrap"),
    [
        (".pt", lambda state: state),
        (".pth", lambda state: {"state_dict": state, "epoch": 3}),
        (".bin", lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}}),
        (".safetensors", lambda state: state),
    ],
)
def test_local_files_are_loaded(tmp_path: Path, state: dict[str, Tensor], suffix: str, wrap: Any) -> None:
    path = tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(wrap(state), path)
    model = build(path)
    loaded = model.clip.state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], state[key]) for key in state)
    assert model.pretrained == f"file {path}"


def test_half_precision_becomes_fp32(tmp_path: Path, state: dict[str, Tensor]) -> None:
    torch.save({key: value.half() for key, value in state.items()}, tmp_path / "half.pt")
    model = build(tmp_path / "half.pt")
    assert {parameter.dtype for parameter in model.clip.parameters()} == {torch.float32}
    torch.testing.assert_close(model.clip.state_dict()[POSITIONS], state[POSITIONS].half().float())


def test_the_log_says_once_where_the_weights_are_from(
    tmp_path: Path, state: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    torch.save(state, tmp_path / "weights.pt")
    with caplog.at_level(logging.INFO):
        build(tmp_path / "weights.pt")
        assert f"weights: file {tmp_path / 'weights.pt'}" in caplog.text
        build_model(Model(name="tiny-solo"), SIZE)
        assert "weights: none (random initialisation)" in caplog.text
        assert "initialized randomly" not in caplog.text  # open_clip's own line, which may be wrong


class Shell:
    """Runs a command when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("bare", [False, True])
def test_a_file_with_code_is_refused_and_not_run(tmp_path: Path, bare: bool) -> None:
    path, trace = tmp_path / "evil.pt", tmp_path / "was-here"
    content = {"state_dict": {}, "x": Shell(trace)}
    path.write_bytes(pickle.dumps(content)) if bare else torch.save(content, path)
    with pytest.raises(WeightsError, match=r"evil\.pt was refused because it holds code"):
        build(path)
    assert not trace.exists()


class Loud(torch.nn.Module):
    """Says so when a TorchScript archive of it is unpickled by torch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[Tensor, bool]:
        return self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, bool]) -> None:
        print("__setstate__ was run")
        self.weight = state[0]
        self.training = state[1]


def test_an_archive_with_code_of_its_own_is_not_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "loud.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Loud()), str(path))
        torch.jit.load(str(path))
    assert "__setstate__ was run" in capfd.readouterr().out  # so it is a test of something
    with pytest.raises(WeightsError, match=r"holds code.*Loud\.__setstate__") as caught:
        build(path)
    assert str(path) in caught.value.title
    assert "was run" not in capfd.readouterr().out


class Quiet(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
        self.register_buffer("steps", torch.tensor(3))
        self.plain = torch.ones(2)
        self.inner = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)])
        self.turned = torch.nn.Parameter(torch.rand(3, 4).half().t())  # not contiguous
        self.none = torch.nn.Parameter(torch.empty(0, 3))
        self.tied = self.inner[0].weight

    def forward(self, x: Tensor) -> Tensor:
        return x + self.plain[0]


def test_an_archive_gives_what_torch_gives(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(Quiet(), torch.ones(1))
        torch.jit.save(traced, str(tmp_path / "a.pt"))
        expected = torch.jit.load(str(tmp_path / "a.pt")).state_dict()
    state = read_file(tmp_path / "a.pt")
    assert "plain" not in state and state.keys() == expected.keys()
    for key, value in state.items():
        assert value.dtype == expected[key].dtype and torch.equal(value, expected[key])


def test_an_archive_that_names_a_function_is_refused(tmp_path: Path, open_clip: Any) -> None:
    save_archive(tmp_path / "whole.pt", open_clip)
    trace = tmp_path / "was-here"
    with zipfile.ZipFile(tmp_path / "whole.pt") as old, zipfile.ZipFile(tmp_path / "evil.pt", "w") as new:
        for name in old.namelist():
            evil = pickle.dumps(Shell(trace), protocol=2) if name.endswith("/data.pkl") else old.read(name)
            new.writestr(name, evil)
    with pytest.raises(WeightsError, match=r"evil\.pt was refused because it holds code, not only tensors \(\w+\.sys"):
        build(tmp_path / "evil.pt")
    assert not trace.exists()


@pytest.mark.parametrize("kind", ["archive", "pickle", "safetensors"])
def test_a_damaged_file_is_loaded_or_refused(tmp_path: Path, open_clip: Any, state: Any, kind: str) -> None:
    """Of an archive: as a whole, and its pickle alone, in a sound zip."""
    suffix = "safetensors" if kind == "safetensors" else "pt"
    whole, path = tmp_path / f"whole.{suffix}", tmp_path / f"damaged.{suffix}"
    save_file(state, whole) if kind == "safetensors" else save_archive(whole, open_clip)
    for seed in range(200):
        draw = random.Random(seed)
        if kind == "pickle":
            with_entry(whole, "/data.pkl", lambda old, draw=draw: mutated(old, draw), path)
        else:
            path.write_bytes(mutated(whole.read_bytes(), draw))
        try:
            read_weights(path)
        except WeightsError as error:
            assert path.name in str(error)


def test_a_file_without_checksums_is_taken(tmp_path: Path, state: dict[str, Tensor]) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, tmp_path / "weights.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_weights(tmp_path / "weights.pt").state.keys() == state.keys()


def test_damaged_files_are_named(tmp_path: Path, state: dict[str, Tensor]) -> None:
    whole = tmp_path / "whole.pt"
    torch.save(state, whole)
    save_file(state, tmp_path / "whole.safetensors")
    contents = {
        "half.pt": whole.read_bytes()[: whole.stat().st_size // 2],
        "half.safetensors": (tmp_path / "whole.safetensors").read_bytes()[:-100],
        "empty.pt": b"",
        "text.pth": b"<html>404 not found</html>",
        "words.pt": b"hello, these are words",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match="damaged or cut short") as caught:
            build(tmp_path / name)
        assert name in caught.value.title
        assert not re.search(r"\(\W*\d*\W*\)", caught.value.message)  # a number says nothing


@pytest.mark.parametrize("name", ["pointer.pt", "pointer.safetensors"])
def test_an_lfs_pointer_is_told_apart(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")
    with pytest.raises(WeightsError, match="git lfs pull"):
        build(tmp_path / name)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.pt.*No such file"):
        build(tmp_path / "none.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list"),
        ({"epoch": 3, "model": {}}, "epoch, model are no tensor"),
        ({"state_dict": {}}, "no state dict"),
    ],
)
def test_what_is_no_state_dict(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=message):
        build(tmp_path / "other.pt")


def test_another_architecture_is_told_by_keys_and_shapes(tmp_path: Path, state: dict[str, Tensor]) -> None:
    state["visual.proj"] = torch.zeros(32, 7)
    del state["visual.ln_post.weight"]
    state["visual.extra"] = torch.zeros(1)
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(WeightsError) as caught:
        build(tmp_path / "other.pt")
    assert "missing: visual.ln_post.weight" in caught.value.message
    assert "not in the model: visual.extra" in caught.value.message
    assert "visual.proj [32, 7] where the model has [32, 24]" in caught.value.message


def test_the_transformers_format_is_told_apart(tmp_path: Path) -> None:
    torch.save({"vision_model.embeddings.class_embedding": torch.zeros(8)}, tmp_path / "hf.bin")
    with pytest.raises(WeightsError, match="Hugging Face transformers"):
        build(tmp_path / "hf.bin")


# QuickGELU, by local file


def test_an_openai_archive_takes_quick_gelu_and_fp32(tmp_path: Path, open_clip: Any) -> None:
    state = save_archive(tmp_path / "ViT.pt", open_clip)
    model = build(tmp_path / "ViT.pt", "tiny-vit")
    assert model.open_clip_name == "tiny-vit-quickgelu"
    loaded = model.clip.state_dict()
    assert {value.dtype for value in loaded.values()} == {torch.float32}
    assert all(torch.equal(loaded[key], state[key].half().float()) for key in state)


def test_an_openai_archive_as_gelu_is_refused(tmp_path: Path, open_clip: Any) -> None:
    save_archive(tmp_path / "ViT.pt", open_clip)
    with pytest.raises(WeightsError, match=r'archive of OpenAI.s.*but model\.quick_gelu = "no"'):
        build(tmp_path / "ViT.pt", "tiny-vit", stated="no")
    with pytest.raises(WeightsError, match="open_clip has tiny-solo with GELU only"):
        build(tmp_path / "ViT.pt", "tiny-solo")


def test_openai_entries_in_a_plain_state_dict_count(tmp_path: Path, state: dict[str, Tensor]) -> None:
    marks = {"input_resolution": torch.tensor(32), "context_length": torch.tensor(8), "vocab_size": torch.tensor(32)}
    torch.save({**state, **marks}, tmp_path / "weights.pt")
    assert build(tmp_path / "weights.pt", "tiny-vit").open_clip_name == "tiny-vit-quickgelu"


def test_an_archive_of_somebody_else_says_nothing(tmp_path: Path, open_clip: Any) -> None:
    save_archive(tmp_path / "ViT.pt", open_clip, marks=False)
    assert read_weights(tmp_path / "ViT.pt").evidence is None
    assert build(tmp_path / "ViT.pt", "tiny-vit", stated="yes").open_clip_name == "tiny-vit-quickgelu"


def test_a_repository_in_the_cache_that_says_openai_counts(tmp_path: Path, state: dict[str, Tensor]) -> None:
    cache = tmp_path / "models--timm--vit_base_patch16_clip_224.openai" / "snapshots" / "abc"
    cache.mkdir(parents=True)
    torch.save(state, cache / "weights.pt")
    assert build(cache / "weights.pt", "tiny-vit").open_clip_name == "tiny-vit-quickgelu"


def test_openai_in_a_name_that_anybody_gives_does_not_count(tmp_path: Path, state: dict[str, Tensor]) -> None:
    home = tmp_path / "openai-people"
    home.mkdir()
    for path in (tmp_path / "from-openai-gelu.pt", home / "laion.pt"):
        torch.save(state, path)
        assert read_weights(path).evidence is None
        with pytest.raises(WeightsError, match=r"set model\.quick_gelu"):
            build(path, "tiny-vit")


@pytest.mark.parametrize("quick_gelu", [True, False])
def test_the_configuration_beside_a_hub_file_counts(tmp_path: Path, state: dict[str, Tensor], quick_gelu: bool) -> None:
    config = {
        "model_cfg": {"embed_dim": 24, **({"quick_gelu": True} if quick_gelu else {})},
        "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
    }
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    torch.save(state, tmp_path / "open_clip_pytorch_model.bin")
    model = build(tmp_path / "open_clip_pytorch_model.bin", "tiny-vit")
    assert model.open_clip_name == ("tiny-vit-quickgelu" if quick_gelu else "tiny-vit")
    assert (model.mean, model.std) == ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def test_a_file_that_says_nothing_is_refused_until_the_profile_says(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "weights.pt"
    torch.save(state, path)
    with pytest.raises(WeightsError, match=r'set model\.quick_gelu = "yes" \(OpenAI, DFN, MetaCLIP\) or "no"'):
        build(path, "tiny-vit")
    assert build(path, "tiny-vit", stated="yes").open_clip_name == "tiny-vit-quickgelu"
    assert build(path, "tiny-vit", stated="no").open_clip_name == "tiny-vit"
    assert build(path, "tiny-vit-quickgelu").open_clip_name == "tiny-vit-quickgelu"
    assert build(path, "tiny-solo").open_clip_name == "tiny-solo"


def test_the_variants_differ(tmp_path: Path, state: dict[str, Tensor]) -> None:
    """Why all of this: the same tensors, quietly other embeddings."""
    torch.save(state, tmp_path / "weights.pt")
    quick, plain = (build(tmp_path / "weights.pt", "tiny-vit", stated=stated) for stated in ("yes", "no"))
    assert not torch.allclose(tiny_clip.embed(quick, SIZE), tiny_clip.embed(plain, SIZE), atol=1e-4)


def test_a_checkpoint_records_its_variant(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "openai_BEST.pth"  # the record counts, not the name
    torch.save(own(state, "tiny-vit", SIZE), path)
    assert build(path, "tiny-vit").open_clip_name == "tiny-vit"
    torch.save(own(state, "tiny-vit-quickgelu", SIZE), path)
    model = build(path, "tiny-vit")
    assert model.open_clip_name == "tiny-vit-quickgelu"
    assert (model.mean, model.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    with pytest.raises(WeightsError, match="the checkpoint says that its model is tiny-vit-quickgelu"):
        build(path, "tiny-vit", stated="no")
    with pytest.raises(WeightsError, match=r"set model\.name to that"):
        build(path, "tiny-solo")


def test_a_newer_checkpoint_is_refused(tmp_path: Path, state: dict[str, Tensor]) -> None:
    torch.save({**own(state, "tiny-solo", SIZE), "format": 99}, tmp_path / "new.pth")
    with pytest.raises(WeightsError, match="newer version"):
        build(tmp_path / "new.pth")
    torch.save({**own(state, "tiny-solo", SIZE), "image_size": "big"}, tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match="record of model and image size is damaged"):
        build(tmp_path / "bad.pth")


# Positions


def resized(positions: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    image = positions[1:].T.reshape(1, -1, *old)
    grid = F.interpolate(image, size=new, mode="bicubic", antialias=True)[0].flatten(1).T
    return torch.cat([positions[:1], grid])


def test_a_square_foreign_grid_is_resampled(tmp_path: Path, open_clip: Any) -> None:
    state = tiny_clip.plain_state(open_clip, "tiny-solo", force_image_size=64)
    torch.save(state, tmp_path / "square.pt")
    loaded = build(tmp_path / "square.pt", size=(96, 32)).clip.state_dict()[POSITIONS]
    torch.testing.assert_close(loaded, resized(state[POSITIONS], (4, 4), (6, 2)))


@pytest.mark.parametrize("size", [(64, 32), (32, 64), (32, 32)])
def test_a_foreign_grid_that_is_no_square_is_refused(tmp_path: Path, open_clip: Any, size: tuple[int, int]) -> None:
    torch.save(tiny_clip.plain_state(open_clip, "tiny-solo", force_image_size=(64, 32)), tmp_path / "oblong.pt")
    with pytest.raises(WeightsError, match="8 image positions are no grid"):
        build(tmp_path / "oblong.pt", size=size)


def test_a_transposed_checkpoint_is_resampled_not_taken_as_it_is(tmp_path: Path, open_clip: Any) -> None:
    """256x128 and 128x256 have the same number of tokens, and open_clip loads one as the other."""
    state = tiny_clip.plain_state(open_clip, "tiny-solo", force_image_size=(64, 32))
    torch.save(own(state, "tiny-solo", (64, 32)), tmp_path / "upright.pth")
    same = build(tmp_path / "upright.pth", size=(64, 32)).clip.state_dict()[POSITIONS]
    other = build(tmp_path / "upright.pth", size=(32, 64)).clip.state_dict()[POSITIONS]
    assert torch.equal(same, state[POSITIONS])
    assert other.shape == same.shape and not torch.allclose(other, same)
    torch.testing.assert_close(other, resized(state[POSITIONS], (4, 2), (2, 4)))


def test_a_checkpoint_with_the_wrong_size_on_it_is_refused(tmp_path: Path, open_clip: Any) -> None:
    state = tiny_clip.plain_state(open_clip, "tiny-solo", force_image_size=(64, 32))
    torch.save(own(state, "tiny-solo", (64, 64)), tmp_path / "wrong.pth")
    with pytest.raises(WeightsError, match="8 image positions are no grid for 64x64"):
        build(tmp_path / "wrong.pth")


def test_timm_positions_are_resampled_from_the_recorded_size(tmp_path: Path, open_clip: Any) -> None:
    small = build_model(Model(name="tiny-timm"), (96, 64))
    torch.save(own(dict(small.clip.state_dict()), "tiny-timm", (96, 64)), tmp_path / "timm.pth")
    again = build(tmp_path / "timm.pth", "tiny-timm", (96, 64))
    torch.testing.assert_close(tiny_clip.embed(again, (96, 64)), tiny_clip.embed(small, (96, 64)))
    turned = cast(Any, build(tmp_path / "timm.pth", "tiny-timm", (64, 96)).visual).trunk.pos_embed
    was = cast(Any, small.visual).trunk.pos_embed
    assert turned.shape == was.shape and not torch.allclose(turned, was)


# Tags


@pytest.fixture
def offline_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache, and no network."""
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    return cache


@pytest.fixture
def tags(open_clip: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags of tiny-vit, in open_clip's registry as it makes them: QuickGELU ones under both names."""
    common = {"mean": (0.2, 0.3, 0.4), "std": (0.5, 0.6, 0.7), "hf_hub": "org/tiny/"}
    quick, plain = {**common, "quick_gelu": True}, dict(common)
    registry = open_clip.pretrained._PRETRAINED
    monkeypatch.setitem(registry, "tiny-vit", {"quick": quick, "plain": plain})
    monkeypatch.setitem(registry, "tiny-vit-quickgelu", {"quick": quick})
    monkeypatch.setitem(registry, "tiny-solo", {"quick": quick, "plain": plain})
    monkeypatch.setitem(registry, "tiny-quick", {"plain": plain})  # as roberta-ViT-B-32: one variant, a silent tag


def fill_cache(cache: Path, state: dict[str, Tensor]) -> None:
    snapshot = cache / "models--org--tiny" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    torch.save(state, snapshot / "open_clip_pytorch_model.bin")
    refs = cache / "models--org--tiny" / "refs"
    refs.mkdir()
    (refs / "main").write_text("a" * 40)


@pytest.mark.usefixtures("tags")
@pytest.mark.parametrize(
    ("name", "tag", "built"),
    [
        ("tiny-vit", "quick", "tiny-vit-quickgelu"),
        ("tiny-vit-quickgelu", "quick", "tiny-vit-quickgelu"),
        ("tiny-vit", "plain", "tiny-vit"),
        ("tiny-solo", "plain", "tiny-solo"),
        ("tiny-quick", "plain", "tiny-quick"),
    ],
)
def test_a_tag_picks_its_variant(
    offline_cache: Path, state: dict[str, Tensor], name: str, tag: str, built: str
) -> None:
    fill_cache(offline_cache, state)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model = build_model(Model(name=name, pretrained=tag), SIZE)
    assert model.open_clip_name == built
    assert (model.mean, model.std) == ((0.2, 0.3, 0.4), (0.5, 0.6, 0.7))
    assert torch.equal(model.clip.state_dict()[POSITIONS], state[POSITIONS])
    assert model.pretrained == f"tag {tag}"


@pytest.mark.usefixtures("tags", "offline_cache")
@pytest.mark.parametrize(
    ("name", "tag", "stated"),
    [
        ("tiny-vit", "quick", "no"),
        ("tiny-vit", "plain", "yes"),
        ("tiny-vit-quickgelu", "plain", "auto"),
        ("tiny-solo", "quick", "auto"),
    ],
)
def test_a_tag_of_the_other_variant_is_refused_before_it_is_downloaded(name: str, tag: str, stated: Any) -> None:
    with pytest.raises(WeightsError, match=f"the tag {tag} was trained with"):
        build_model(Model(name=name, pretrained=tag, quick_gelu=stated), SIZE)


@pytest.mark.parametrize("tag", ["openai", "dfn2b", "metaclip-400m"])
def test_the_real_registry_is_read_the_same_way(offline_cache: Path, tag: str) -> None:
    with pytest.raises(WeightsError, match=f"Weights {tag} of ViT-B-16-quickgelu cannot be downloaded"):
        build_model(Model(name="ViT-B-16", pretrained=tag), (256, 128))


@pytest.mark.usefixtures("tags", "offline_cache")
def test_without_a_network_the_way_out_is_named() -> None:
    with pytest.raises(WeightsError) as caught:
        build_model(Model(name="tiny-vit", pretrained="plain"), SIZE)
    cause, way_out = caught.value.message.split("\n")
    assert "org/tiny" in cause
    assert "set model.pretrained to the file" in way_out and "HF_HUB_CACHE" in way_out


@pytest.mark.usefixtures("tags")
def test_a_download_is_announced_and_what_the_cache_has_is_not(
    offline_cache: Path, state: dict[str, Tensor], open_clip: Any, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(_: Any) -> str:
        assert "Downloading weights plain of tiny-vit from org/tiny/" in caplog.text
        torch.save(state, offline_cache / "file.bin")
        return str(offline_cache / "file.bin")

    monkeypatch.setattr("core.weights.check_connection", lambda _: None)
    monkeypatch.setattr(open_clip, "download_pretrained", download)
    build_model(Model(name="tiny-vit", pretrained="plain"), SIZE)
    assert [record.levelname for record in caplog.records if "Downloading" in record.message] == ["WARNING"]
    caplog.clear()
    fill_cache(offline_cache, state)
    monkeypatch.setattr(open_clip, "download_pretrained", pytest.fail)
    build_model(Model(name="tiny-vit", pretrained="plain"), SIZE)
    assert "Downloading" not in caplog.text


@pytest.mark.usefixtures("tags")
def test_a_cached_file_is_found_by_every_name(
    offline_cache: Path, state: dict[str, Tensor], open_clip: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_cache(offline_cache, state)
    [snapshot] = (offline_cache / "models--org--tiny" / "snapshots").iterdir()
    for entry, name in (
        ("org/tiny/", "open_clip_pytorch_model.bin"),
        ("org/tiny/", "open_clip_model.safetensors"),
        ("org/tiny/special.pt", "special.pt"),
        ("org/tiny/special.pt", "special.safetensors"),
    ):
        (snapshot / name).touch()
        assert find_in_cache({"hf_hub": entry}) == snapshot / name
    assert find_in_cache({"hf_hub": "org/other/"}) is None
    assert find_in_cache({"url": "https://example.org/file.pt"}) is None


@pytest.mark.usefixtures("tags")
def test_without_a_network_nothing_is_tried_again(
    tmp_path: Path, open_clip: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:  # bound, and nobody listens
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setattr("huggingface_hub.hf_hub_url", lambda *names: "/".join((endpoint, *names)))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr(open_clip, "download_pretrained", pytest.fail)
        with pytest.raises(WeightsError, match=f"{endpoint}/org/tiny/.*cannot be reached: .*refused"):
            build_model(Model(name="tiny-vit", pretrained="plain"), SIZE)


@pytest.mark.usefixtures("tags")
def test_an_unknown_tag_gets_the_nearest() -> None:
    with pytest.raises(WeightsError, match="nearest: plain; its tags: quick, plain"):
        build_model(Model(name="tiny-vit", pretrained="plane"), SIZE)


@pytest.mark.usefixtures("tags")
def test_a_file_has_the_preprocessing_that_all_tags_have(tmp_path: Path, state: dict[str, Tensor]) -> None:
    torch.save(state, tmp_path / "weights.pt")
    assert build(tmp_path / "weights.pt", "tiny-solo").mean == (0.2, 0.3, 0.4)
