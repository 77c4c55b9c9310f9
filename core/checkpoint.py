"""Checkpoints: tensors and plain values in one dict, which `open_clip.create_model(NAME, pretrained=FILE)` loads too.

    format           1
    state_dict       the whole CLIP model in open_clip's naming, fp32; its image positions are for the native size
    exact_positions  the image positions at the trained size, by their names in `state_dict`; {} where it is native
    open_clip_model  its name there ("ViT-B-16-quickgelu")
    image_size       [height, width] in pixels
    mean, std        per channel, of pixels in 0..1: the model's own preprocessing
    classifier       state dict of Linear(embedding, identities)
    identity_names   names by classifier output
    profile          the profile's tables
    epoch, metrics, reason

More keys may stand beside these; readers leave alone what they do not know.
"""

from __future__ import annotations

import copy
import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor, nn

from core.architectures import one_line
from core.atomic import atomic_write
from core.errors import WeightsError
from core.model import ReidModel, assemble
from core.positions import position_table, resample
from core.weights import CHECKPOINT_FORMAT, Weights, checkpoint_weights, is_own_checkpoint
from core.weights_files import read_file

_MODEL_KEYS = frozenset({"format", "state_dict", "exact_positions", "open_clip_model", "image_size", "mean", "std"})
_RUN_KEYS = frozenset({"classifier", "identity_names", "profile", "epoch", "metrics", "reason"})
_KEYS = _MODEL_KEYS | _RUN_KEYS


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds; tensors on the CPU.

    Args:
        weights: the CLIP model's, exact at `weights.image_size`, with its name, mean and std.
        classifier: state dict of the classifier: `weight` (identities, embedding), `bias` (identities).
        identity_names: by classifier output.
        profile: the profile's tables.
        epoch: epochs trained.
        metrics: by name.
        reason: why it was saved.
        extra: whatever else was saved.
    """

    weights: Weights
    classifier: dict[str, Tensor]
    identity_names: tuple[str, ...]
    profile: dict[str, dict[str, Any]]
    epoch: int
    metrics: dict[str, float]
    reason: str
    extra: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(
    path: Path | BinaryIO,
    model: ReidModel,
    classifier: nn.Linear,
    identity_names: Sequence[str],
    profile: Mapping[str, Mapping[str, Any]],
    epoch: int,
    metrics: Mapping[str, float],
    reason: str,
    extra: Mapping[str, Any] | None = None,
    keep: Path | None = None,
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: the file; its folder must be there. Or a buffer, which takes what the file would hold.
        model: on any device; it is not changed.
        classifier: Linear(embedding, identities), on any device.
        identity_names: by classifier output.
        profile: the profile's tables (`Profile.tables()`).
        epoch: epochs trained.
        metrics: by name.
        reason: why it is saved, for people ("best Rank-1", "stopped after epoch 7").
        extra: more entries of the dict, tensors and plain values in dicts and lists: optimizer state and the like.
        keep: the name that an older file of the name `path` gets.

    Raises:
        OSError: the file cannot be written; an older one of that name is kept.
        TypeError: a value is neither a tensor nor plain, so that the file could not be read back safely.
        ValueError: an entry of `extra` has the name of another, or there are not as many names as outputs.
    """
    if len(identity_names) != classifier.out_features:
        raise ValueError(f"{len(identity_names)} identity names for {classifier.out_features} classifier outputs")
    if taken := _KEYS & set(extra or {}):
        raise ValueError(f"extra entries of a checkpoint must not be named {', '.join(sorted(taken))}")
    state = _on_cpu(model.clip.state_dict())
    exact = _take_native_positions(state, model)
    content = {
        **{key: _plain(value, key) for key, value in (extra or {}).items()},
        "format": CHECKPOINT_FORMAT,
        "state_dict": state,
        "exact_positions": exact,
        "open_clip_model": model.open_clip_name,
        "image_size": list(model.image_size),
        "mean": list(model.mean),
        "std": list(model.std),
        "classifier": _on_cpu(classifier.state_dict()),
        "identity_names": [str(name) for name in identity_names],
        "profile": _plain(profile, "profile"),
        "epoch": int(epoch),
        "metrics": {str(name): float(value) for name, value in metrics.items()},
        "reason": str(reason),
    }

    if not isinstance(path, Path):
        torch.save(content, path)
        return

    def write(file: BinaryIO) -> None:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # torch's own, of a file that is shorter than what it wrote
            raise _disk_error(error, path) from error

    atomic_write(path, write, keep)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of this program; nothing in the file is run.

    Raises:
        WeightsError: the file is missing or damaged, holds code, or is none of this program's.
    """
    content = read_file(path)
    if not is_own_checkpoint(content):
        raise WeightsError(
            f"Checkpoint {path} cannot be used",
            "reid-tui did not save it; to start from the weights in it, set model.pretrained to the file",
        )
    try:
        return Checkpoint(
            weights=checkpoint_weights(content, path),
            classifier=dict(content["classifier"]),
            identity_names=tuple(content["identity_names"]),
            profile=dict(content["profile"]),
            epoch=int(content["epoch"]),
            metrics=dict(content["metrics"]),
            reason=str(content["reason"]),
            extra={key: value for key, value in content.items() if key not in _KEYS},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"Checkpoint {path} cannot be used", f"it is damaged ({one_line(error)})") from error


def restore_model(checkpoint: Checkpoint) -> ReidModel:
    """The model as it was saved, on the CPU and in train mode, at the image size it was trained at.

    Raises:
        WeightsError: this version of open_clip has no such model, or builds it otherwise.
    """
    weights = checkpoint.weights
    if weights.image_size is None:
        raise WeightsError("Checkpoint cannot be used", f"{weights.source} does not record an image size")
    return assemble(weights.recorded_name, weights.image_size, weights)


def _on_cpu(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as open_clip reads them: on the CPU, contiguous, floats in fp32."""
    moved = {name: value.detach().to("cpu").contiguous() for name, value in state.items()}
    return {name: value.float() if value.is_floating_point() else value for name, value in moved.items()}


def _take_native_positions(state: dict[str, Tensor], model: ReidModel) -> dict[str, Tensor]:
    """Put positions of the native size into `state`, and give those of the trained size back, by name.

    open_clip, asked for nothing else, builds the native size. It resizes the positions of square ViTs only, and takes
    128x256 for 256x128.
    """
    table = position_table(model.visual)
    if table is None:
        return _take_native_windows(state, model)
    native = (model.native_size[0] // table.stride[0], model.native_size[1] // table.stride[1])
    if native == table.grid:
        return {}
    key = f"visual.{table.key}"
    exact = state[key]
    state[key] = resample(exact, table.grid, native, table.class_tokens)
    return {key: exact}


def _take_native_windows(state: dict[str, Tensor], model: ReidModel) -> dict[str, Tensor]:
    """The same for Swin, whose windows grow with the image and each have a table of relative positions."""
    windowed = any(name.endswith("relative_position_bias_table") for name in state)
    if not windowed or model.image_size == model.native_size:
        return {}
    tower = cast(Any, copy.deepcopy(model.visual).to("cpu"))
    tower.set_input_size(model.native_size)
    native = {f"visual.{name}": value for name, value in _on_cpu(tower.state_dict()).items()}
    exact = {name: state[name] for name, value in native.items() if state[name].shape != value.shape}
    state.update({name: native[name] for name in exact})
    return exact


def _disk_error(error: BaseException, path: Path) -> OSError:
    """What stopped a write: torch raises an error of its own while it closes the file after the first one."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return OSError(cause.errno, os.strerror(cause.errno), str(path))
        cause = cause.__context__
    return OSError(errno.EIO, f"cannot be written ({one_line(error, 120)})", str(path))


def _plain(value: Any, place: str) -> Any:
    """A copy in dicts and lists of what `torch.load(weights_only=True)` takes."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu")
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if isinstance(value, Mapping):
        return {_plain(key, place): _plain(item, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{place}[{index}]") for index, item in enumerate(value)]
    raise TypeError(f"{place} of a checkpoint is a {type(value).__name__}, neither a tensor nor plain")
