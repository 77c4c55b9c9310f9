"""Pretrained weights: found by tag or file, read without running code in them, fitted and put into a model.

open_clip's own loader refuses TorchScript archives, takes non-square position tables for square ones and transposed
ones as they are, and says nothing of QuickGELU; so reading is done here, and open_clip only builds the model.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.architectures import QUICK_GELU_SUFFIX, Evidence, base_name, import_open_clip, nearest, one_line
from core.errors import WeightsError
from core.positions import position_table, resample, square_grid
from core.profile import Model
from core.weights_files import check_connection, find_in_cache, read_file

log = logging.getLogger(__name__)

CHECKPOINT_FORMAT = 1
OPENAI_MARKS = ("input_resolution", "context_length", "vocab_size")  # entries that only OpenAI's archives have


@dataclass(frozen=True)
class Weights:
    """A state dict in open_clip's naming and what is known of it.

    Args:
        state: tensors by name, on the CPU, any float type.
        source: tag or file, for people.
        evidence: what it says of QuickGELU.
        recorded_name: the open_clip model, where a checkpoint of this program says it; else "".
        image_size: height, width in pixels that it was trained at, where it says so.
        mean, std: per channel, of pixels in 0..1, where it says so.
    """

    state: dict[str, Tensor]
    source: str
    evidence: Evidence | None = None
    recorded_name: str = ""
    image_size: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def find_tag(spec: Model, name: str) -> dict[str, Any]:
    """open_clip's entry for the tag `spec.pretrained`, of whichever QuickGELU variant of `name` has it.

    Raises:
        WeightsError: there is none; the message names those that there are.
    """
    open_clip = import_open_clip()
    for variant in (base_name(name), base_name(name) + QUICK_GELU_SUFFIX):
        if config := open_clip.get_pretrained_cfg(variant, spec.pretrained):
            return dict(config)
    tags = open_clip.list_pretrained_tags_by_model(base_name(name))
    known = f"its tags: {', '.join(tags)}" if tags else "it has no tags; use `none` or a local file"
    raise WeightsError(
        f"Weights {spec.pretrained} are not known",
        f"open_clip has no tag of that name for {name}{nearest(spec.pretrained, tags)}; {known}",
    )


def tag_evidence(spec: Model, name: str, config: Mapping[str, Any]) -> Evidence | None:
    """What a tag's entry says of QuickGELU; a missing word means GELU only where both variants exist."""
    if "quick_gelu" not in config and base_name(name) + QUICK_GELU_SUFFIX not in import_open_clip().list_models():
        return None
    quick_gelu = bool(config.get("quick_gelu", False))
    activation = "QuickGELU" if quick_gelu else "GELU"
    return Evidence(quick_gelu, f"open_clip says that the tag {spec.pretrained} was trained with {activation}")


def read_tag(spec: Model, name: str, config: Mapping[str, Any]) -> Weights:
    """Weights of a tag, from the cache (`HF_HUB_CACHE`), or downloaded into it by open_clip; the log says so before.

    Raises:
        WeightsError: they cannot be had, or not be read.
    """
    open_clip = import_open_clip()
    place = config.get("hf_hub") or config.get("url")
    try:
        path = find_in_cache(config)
        if path is None:
            log.warning("Downloading weights %s of %s from %s …", spec.pretrained, name, place)
            check_connection(config)
            path = Path(open_clip.download_pretrained(config))
    except Exception as error:  # huggingface_hub, httpx and urllib each have their own
        raise WeightsError(
            f"Weights {spec.pretrained} of {name} cannot be downloaded",
            f"{one_line(error)}\nWithout a network: download {place} on another machine, copy the weights here and set "
            f"model.pretrained to the file; or copy the Hugging Face cache and set HF_HUB_CACHE to it",
        ) from error
    weights = read_weights(path)
    return replace(
        weights, source=f"tag {spec.pretrained}", evidence=None, mean=tuple(config["mean"]), std=tuple(config["std"])
    )


def read_weights(path: Path) -> Weights:
    """Weights in a local file: a checkpoint of this program, a state dict, safetensors, or an OpenAI archive.

    Raises:
        WeightsError: the file is missing, damaged, holds code, or no state dict of open_clip's.
    """
    content = read_file(path)
    if is_own_checkpoint(content):
        return checkpoint_weights(content, path)
    state = _state_dict(content, path)
    from_openai = all(mark in state for mark in OPENAI_MARKS)
    tensors = _tensors({key: value for key, value in state.items() if key not in OPENAI_MARKS}, path)
    weights = Weights(tensors, f"file {path}", _file_evidence(path, from_openai))
    preprocess = _beside(path).get("preprocess_cfg", {})
    if "mean" in preprocess and "std" in preprocess:
        return replace(weights, mean=tuple(preprocess["mean"]), std=tuple(preprocess["std"]))
    return weights


def checkpoint_weights(content: Mapping[str, Any], path: Path) -> Weights:
    """The weights in the dict of a checkpoint of this program (`core.checkpoint`), exact at its image size.

    Raises:
        WeightsError: the checkpoint is damaged, or a newer version's.
    """
    try:
        if int(content["format"]) > CHECKPOINT_FORMAT:
            raise WeightsError(
                f"Weights {path} cannot be read", "a newer version of reid-tui saved it; update this one"
            )
        name = str(content["open_clip_model"])
        height, width = (int(side) for side in content["image_size"])
        mean, std = tuple(map(float, content["mean"])), tuple(map(float, content["std"]))
        exact = dict(content.get("exact_positions", {}))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"Weights {path} cannot be read", f"its record of model and image size is damaged ({one_line(error)})"
        ) from error
    config = import_open_clip().get_model_config(name) or {}
    quick_gelu = bool(config.get("quick_gelu", name.endswith(QUICK_GELU_SUFFIX)))
    evidence = Evidence(quick_gelu, f"the checkpoint says that its model is {name}")
    state = _tensors({**_state_dict(content, path), **exact}, path)
    return Weights(state, f"file {path}", evidence, name, (height, width), mean, std)


def is_own_checkpoint(content: Mapping[str, Any]) -> bool:
    """Whether a file's dict is a checkpoint that this program saved."""
    return {"format", "open_clip_model", "image_size", "state_dict"} <= content.keys()


def load_into(clip: nn.Module, weights: Weights, native_size: tuple[int, int]) -> None:
    """Put weights into a model of open_clip's, positions resampled to the grid that the model has now.

    Args:
        clip: the whole CLIP model on the CPU in fp32; weights of other float types are cast to it.
        weights: what was read; its `state` is not changed.
        native_size: height, width in pixels that the weights are for, where they do not say.

    Raises:
        WeightsError: names or shapes are not the model's, or the grid of the positions cannot be known.
    """
    state = _fit_names(clip, dict(weights.state))
    _fit_positions(clip, state, weights, native_size)
    if wrong := _mismatch(clip.state_dict(), state):
        raise WeightsError(f"Weights ({weights.source}) are not of this model", wrong)
    clip.load_state_dict(state)


def _state_dict(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The state dict in a file's dict, under `state_dict` or the dict itself, without a wrapper's `module.`."""
    state = content.get("state_dict", content)
    if not isinstance(state, Mapping) or not state:
        raise WeightsError(f"Weights {path} cannot be used", "it holds no state dict")
    wrapped = all(str(key).startswith("module.") for key in state)  # DistributedDataParallel
    return {str(key).removeprefix("module.") if wrapped else str(key): value for key, value in state.items()}


def _tensors(state: dict[str, Any], path: Path) -> dict[str, Tensor]:
    if strange := [key for key, value in state.items() if not isinstance(value, Tensor)]:
        raise WeightsError(
            f"Weights {path} cannot be used",
            f"it holds no state dict: {', '.join(strange[:3])} {'is' if len(strange) == 1 else 'are'} no tensor",
        )
    return state


def _beside(path: Path) -> dict[str, Any]:
    """`open_clip_config.json` beside weights that have the name open_clip gives them on the Hugging Face hub."""
    config = path.with_name("open_clip_config.json")
    if not path.name.startswith("open_clip_") or not config.is_file():
        return {}
    try:
        content = json.loads(config.read_bytes())
    except (OSError, ValueError) as error:
        raise WeightsError(f"Weights {path} cannot be read", f"{config} is damaged: {one_line(error)}") from error
    return content if isinstance(content, dict) else {}


def _file_evidence(path: Path, from_openai: bool) -> Evidence | None:
    """What a file says of QuickGELU, by its entries, by its configuration, or by its place in the cache."""
    if from_openai:
        return Evidence(True, f"{path.name} is an archive of OpenAI's, trained with QuickGELU")
    if model := _beside(path).get("model_cfg"):
        quick_gelu = bool(model.get("quick_gelu", False))
        activation = "QuickGELU" if quick_gelu else "GELU"
        return Evidence(quick_gelu, f"open_clip_config.json beside {path.name} says {activation}")
    for part in path.parts:  # a repository in the Hugging Face cache; any other name may say anything
        if part.startswith("models--") and "openai" in part.lower():
            return Evidence(True, f"{path.name} is of {part}, and OpenAI trained with QuickGELU")
    return None


def _fit_names(clip: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names of older and foreign open_clip state dicts, as `open_clip.load_checkpoint` (3.3) turns them."""
    open_clip = import_open_clip()
    state = open_clip.factory.convert_state_dict(clip, state)
    if "positional_embedding" in state and not hasattr(clip, "positional_embedding"):
        state = open_clip.factory.convert_to_custom_text_state_dict(state)
    for scalar in ("logit_scale", "logit_bias"):
        own = getattr(clip, scalar, None)
        if own is not None and scalar in state and state[scalar].numel() == own.numel():
            state[scalar] = state[scalar].reshape(own.shape)
    if getattr(clip, "logit_bias", None) is not None and "logit_bias" not in state and "logit_scale" in state:
        state["logit_bias"] = torch.zeros_like(state["logit_scale"])
    # What is computed, not learned: TorchScript saves the mask; transformers dropped the ids with 4.31.
    for derived in ("attn_mask", "text.attn_mask", "text.transformer.embeddings.position_ids"):
        state.pop(derived, None)
    return state


def _fit_positions(clip: nn.Module, state: dict[str, Tensor], weights: Weights, native_size: tuple[int, int]) -> None:
    """Resample the image positions in `state`, from the grid they were trained on to the model's."""
    visual = clip.get_submodule("visual")
    table = position_table(visual)
    key = f"visual.{table.key}" if table else ""
    if table is None or key not in state or state[key].ndim != visual.get_parameter(table.key).ndim:
        return
    patches = state[key].shape[-2] - table.class_tokens
    height, width = weights.image_size or native_size
    grid = (height // table.stride[0], width // table.stride[1])
    if math.prod(grid) != patches and weights.image_size is None:
        grid = square_grid(patches) or grid
    if math.prod(grid) != patches:
        raise WeightsError(
            f"Weights ({weights.source}) cannot be used at this size",
            f"their {patches} image positions are no grid for {height}x{width} pixels and no square, and the file "
            f"does not say rows and columns, so they cannot be resized; take weights that were trained on square "
            f"images, or a checkpoint of this program, which records the size",
        )
    state[key] = resample(state[key], grid, table.grid, table.class_tokens)


def _mismatch(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """In what a state dict differs from a model's; empty where it fits."""
    if any(key.startswith("vision_model.") for key in state):
        return "they are in the format of Hugging Face transformers; take the file that open_clip can load"
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in own]
    shapes = [
        f"{key} {list(state[key].shape)} where the model has {list(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    kinds = (("missing", missing), ("not in the model", unexpected), ("other shapes", shapes))
    return "\n".join(
        f"{kind}: {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
        for kind, names in kinds
        if names
    )
