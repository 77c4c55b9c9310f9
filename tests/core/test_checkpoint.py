"""Checkpoints: read back exactly here, and loaded by open_clip itself."""

from __future__ import annotations

import errno
import random
import re
import subprocess
import sys
import zipfile
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

ROOT = Path(__file__).parents[2]
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
        ("tiny-vit", (64, 16)),
        ("tiny-swin", (256, 128)),
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
    ("name", "native"),
    [
        ("RN-tiny", (96, 96)),
        ("tiny-vit", (32, 32)),
        ("tiny-vit-quickgelu", (32, 32)),
        ("tiny-convnext", (160, 160)),
        ("tiny-timm", (160, 160)),
        ("tiny-swin", (64, 64)),
    ],
)
def test_open_clip_loads_it_and_embeds_the_same(
    tmp_path: Path, open_clip: Any, name: str, native: tuple[int, int]
) -> None:
    model = trained(name, native)
    save(tmp_path / "c.pth", model)
    assert torch.load(tmp_path / "c.pth", weights_only=True)["exact_positions"] == {}
    loaded = open_clip.create_model(name, pretrained=str(tmp_path / "c.pth"))
    torch.testing.assert_close(tiny_clip.embed(loaded.visual, native), tiny_clip.embed(model, native))


@pytest.mark.parametrize(
    ("name", "size", "native", "tables"),
    [
        ("RN-tiny", (32, 32), (96, 96), 1),
        ("RN-tiny", (128, 128), (96, 96), 1),
        ("RN-tiny", (128, 64), (96, 96), 1),
        ("tiny-vit", (64, 64), (32, 32), 1),
        ("tiny-vit-quickgelu", (80, 48), (32, 32), 1),
        ("tiny-vit", (64, 16), (32, 32), 1),  # as many patches as the native size has
        ("tiny-timm", (96, 64), (160, 160), 1),
        ("tiny-convnext", (64, 96), (160, 160), 0),
        ("tiny-swin", (256, 128), (64, 64), 2),
    ],
)
def test_open_clip_loads_it_at_the_native_size_whatever_it_was_trained_at(
    tmp_path: Path, open_clip: Any, name: str, size: tuple[int, int], native: tuple[int, int], tables: int
) -> None:
    model = trained(name, size)
    save(tmp_path / "c.pth", model)
    content = torch.load(tmp_path / "c.pth", weights_only=True)
    loaded = open_clip.create_model(name, pretrained=str(tmp_path / "c.pth"))
    assert tiny_clip.embed(loaded.visual, native).shape == (2, model.embedding_dim)
    own, theirs = model.clip.state_dict(), loaded.state_dict()
    assert all(torch.equal(theirs[key], content["state_dict"][key]) for key in theirs)
    exact = content["exact_positions"]
    assert len(exact) == tables
    assert exact.keys() == {key for key in own if not torch.equal(own[key], theirs[key])}
    assert all(torch.equal(exact[key], own[key]) for key in exact)


SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "run-folder.md").read_text(), re.DOTALL)


def run_snippet(snippet: str, path: Path) -> Any:
    code, replaced = re.subn(r'^path = ".*"$', f"path = {str(path)!r}", snippet, flags=re.MULTILINE)
    assert replaced == 1
    names: dict[str, Any] = {}
    exec(code, names)
    return names["model"]


@pytest.mark.parametrize(
    ("name", "size"), [("RN-tiny", (96, 96)), ("RN-tiny", (64, 32)), ("tiny-vit-quickgelu", (96, 48))]
)
def test_the_snippets_of_the_page_run(tmp_path: Path, open_clip: Any, name: str, size: tuple[int, int]) -> None:
    plain, exact = SNIPPETS
    model = trained(name, size)
    save(tmp_path / "c.pth", model)
    native = (96, 96) if name == "RN-tiny" else (32, 32)
    assert tiny_clip.embed(run_snippet(plain, tmp_path / "c.pth").visual, native).shape == (2, model.embedding_dim)
    restored = run_snippet(exact, tmp_path / "c.pth")
    assert torch.equal(tiny_clip.embed(restored, size), tiny_clip.embed(model, size))


def test_a_fresh_process_loads_it_as_the_page_says(tmp_path: Path) -> None:
    save(tmp_path / "c.pth", trained("RN-tiny", (64, 32)))
    page = "\n".join(["import core.architectures", "core.architectures.import_open_clip()", *SNIPPETS])
    code = re.sub(r'^path = ".*"$', f"path = {str(tmp_path / 'c.pth')!r}", page, flags=re.MULTILINE)
    command = [sys.executable, "-c", f"{code}\nprint(model.image_size)"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "(64, 32)", result.stderr


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


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from torch import nn
from core.checkpoint import save_checkpoint
from core.model import build_model
from core.profile import Model

path = Path(sys.argv[1])
model = build_model(Model(name="RN-tiny"), (96, 96))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in map(int, sys.argv[2:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        save_checkpoint(path, model, nn.Linear(model.embedding_dim, 1), ["a"], {}, 1, {}, "test")
    except OSError as error:
        print(error.errno, error.filename)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file sizes here")
def test_a_file_that_cannot_grow_is_an_os_error_that_names_it(tmp_path: Path) -> None:
    """A limit on file sizes, which is met as a full disk is: in the middle, torch raises an error of its own."""
    path = tmp_path / "c.pth"
    model = build_model(Model(name="RN-tiny"), (96, 96))
    save_checkpoint(path, model, nn.Linear(model.embedding_dim, 1), ["a"], {}, 1, {}, "test")
    before = path.read_bytes()
    limits = [str(len(before) - missing) for missing in (1, 100_000, len(before) - 100)]
    command = [sys.executable, "-c", FULL_DISK, str(path), *limits]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stdout.splitlines() == [f"{errno.EFBIG} {path}"] * 3, result.stderr
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_torch_without_a_cause_is_an_os_error_as_well(
    tmp_path: Path, open_clip: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any, __: Any) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:671] . unexpected pos 704 vs 598")

    model = build_model(Model(name="tiny-vit"), (32, 32))
    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match=r"unexpected pos.*c\.pth") as caught:
        save(tmp_path / "c.pth", model)
    assert caught.value.errno == errno.EIO


def with_entry(whole: Path, name: str, change: Any, path: Path) -> None:
    """A copy of a zip with one entry changed, its checksum made to fit."""
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.namelist():
            content = old.read(entry)
            new.writestr(entry, change(content) if entry.endswith(name) else content)


def mutated(content: bytes, draw: random.Random) -> bytes:
    if draw.random() < 0.2:
        return content[: draw.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 3, 10))):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


@pytest.mark.parametrize("kind", ["zip", "pickle", "legacy"])
def test_a_damaged_checkpoint_is_loaded_whole_or_refused(tmp_path: Path, open_clip: Any, kind: str) -> None:
    """`pickle`: the zip is sound, and its pickle is not; `legacy`: torch's older format."""
    whole, path = tmp_path / "c.pth", tmp_path / "damaged.pth"
    save(whole, build_model(Model(name="tiny-vit"), (32, 32)))
    content = torch.load(whole, weights_only=True)
    if kind == "legacy":
        torch.save(content, whole, _use_new_zipfile_serialization=False)
    loaded = 0
    for seed in range(200):
        draw = random.Random(seed)
        if kind == "pickle":
            with_entry(whole, "/data.pkl", lambda old, draw=draw: mutated(old, draw), path)
        else:
            path.write_bytes(mutated(whole.read_bytes(), draw))
        try:
            checkpoint = load_checkpoint(path)
        except WeightsError as error:
            assert str(path) in error.title
            continue
        loaded += 1
        if kind == "zip":
            assert all(
                torch.equal(value, content["state_dict"][key]) for key, value in checkpoint.weights.state.items()
            )
    assert loaded < 200


def test_bit_rot_in_a_tensor_is_found(tmp_path: Path, open_clip: Any) -> None:
    path = tmp_path / "c.pth"
    model = build_model(Model(name="tiny-vit"), (32, 32))
    save(path, model)
    content = bytearray(path.read_bytes())
    weight = model.clip.state_dict()["visual.proj"].numpy().tobytes()
    content[content.index(weight) + 100] ^= 1
    path.write_bytes(content)
    torch.load(path, weights_only=True)  # takes it as it is
    with pytest.raises(WeightsError, match=r"damaged or cut short.*checksum") as caught:
        load_checkpoint(path)
    assert str(path) in caught.value.title


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
