"""The image encoder that is trained, inside the CLIP model it came from: built by open_clip, at any image size."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from core.architectures import (
    Architecture,
    base_name,
    check_size,
    describe,
    import_open_clip,
    known_name,
    one_line,
    resolve_variant,
)
from core.errors import DataError, WeightsError
from core.positions import position_table
from core.profile import Model
from core.profile_files import expand, is_weights_file
from core.weights import Weights, find_tag, load_into, read_tag, read_weights, tag_evidence

log = logging.getLogger(__name__)


class ReidModel(nn.Module):
    """Images to embeddings, by the visual tower of a CLIP model.

    The tower is the only submodule: `parameters()`, `to()`, `train()` and DistributedDataParallel see nothing else.
    The rest of the CLIP model is frozen, stays on the CPU in eval mode and is kept for the checkpoint.

    Args:
        clip: open_clip's whole model, its `visual` made for `image_size`.
        open_clip_name: its name there, the QuickGELU variant settled.
        image_size, native_size: height, width in pixels: of every batch, and that open_clip builds it for.
        pretrained: where the weights are from, for people.

    Raises:
        WeightsError: the tower does not take images of this size, or gives no (B, D) embedding.
    """

    def __init__(
        self,
        clip: nn.Module,
        *,
        open_clip_name: str,
        image_size: tuple[int, int],
        native_size: tuple[int, int],
        pretrained: str,
    ) -> None:
        super().__init__()
        clip.eval()
        for name, parameter in clip.named_parameters():
            if not name.startswith("visual."):
                parameter.requires_grad_(False)
        self.visual = clip.get_submodule("visual")
        self._clip = (clip,)  # in a tuple, so that it is no submodule
        self.open_clip_name = open_clip_name
        self.image_size = image_size
        self.native_size = native_size
        self.pretrained = pretrained
        preprocess = cast(dict[str, Any], self.visual.preprocess_cfg)
        self.mean: tuple[float, ...] = tuple(float(value) for value in preprocess["mean"])
        self.std: tuple[float, ...] = tuple(float(value) for value in preprocess["std"])
        self.embedding_dim = self._probe()
        self.train()

    @property
    def clip(self) -> nn.Module:
        """The whole CLIP model; its `visual` is this model's, and may be on another device than the rest."""
        return self._clip[0]

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings of a batch, not normalised.

        Args:
            images: (B, 3, H, W) float, on the tower's device, H x W = `image_size`.

        Returns:
            (B, `embedding_dim`).

        Raises:
            DataError: the images have another size; 128x256 in place of 256x128 would go through unnoticed.
        """
        if images.ndim != 4 or tuple(images.shape[-2:]) != self.image_size:
            height, width = self.image_size
            raise DataError(
                "Image batch has the wrong size",
                f"the model takes (B, 3, {height}, {width}), height before width, and was given {tuple(images.shape)}",
            )
        embeddings = self.visual(images)
        # CoCa's tower gives its tokens as well.
        return cast(Tensor, embeddings[0] if isinstance(embeddings, tuple) else embeddings)

    @torch.no_grad()
    def _probe(self) -> int:
        """The embedding's width, by a blank image, as not every tower has `output_dim`; proves that the size works.

        The tower must be in eval mode, else BatchNorm would take the blank image into its statistics.
        """
        try:
            embedding = self(torch.zeros(1, 3, *self.image_size))
        except Exception as error:  # whatever a tower of timm's trips over
            raise WeightsError(
                f"Model {self.open_clip_name} does not take images of {self.image_size[0]}x{self.image_size[1]}",
                f"{one_line(error)}; its own size is {list(self.native_size)}",
            ) from error
        if embedding.ndim != 2:
            raise WeightsError(
                f"Model {self.open_clip_name} cannot be used",
                f"its image tower gives {tuple(embedding.shape)} for one image, not one embedding",
            )
        return int(embedding.shape[1])


def build_model(spec: Model, image_size: tuple[int, int]) -> ReidModel:
    """The model of a profile, on the CPU, in fp32 and in train mode.

    Args:
        spec: the profile's `[model]`. Without weights the initialisation follows torch's global seed alone.
        image_size: height, width in pixels.

    Raises:
        WeightsError: model, weights and size cannot be had or do not fit each other; the message has the way out.
    """
    name = known_name(spec.name)
    weights = None
    if spec.pretrained == "none":
        open_clip_name = resolve_variant(spec, None)
        _check_size(open_clip_name, image_size)
    elif is_weights_file(spec.pretrained):
        weights = read_weights(expand(spec.pretrained))
        if weights.recorded_name and base_name(weights.recorded_name) != base_name(name):
            raise WeightsError(
                f"Weights {spec.pretrained} are not of model {spec.name}",
                f"the checkpoint says that its model is {weights.recorded_name}; set model.name to that",
            )
        open_clip_name = resolve_variant(spec, weights.evidence)
        _check_size(open_clip_name, image_size)
    else:
        tag = find_tag(spec, name)
        open_clip_name = resolve_variant(spec, tag_evidence(spec, name, tag))
        _check_size(open_clip_name, image_size)  # before a download of gigabytes
        weights = read_tag(spec, open_clip_name, tag)
    return assemble(open_clip_name, image_size, weights)


def assemble(open_clip_name: str, image_size: tuple[int, int], weights: Weights | None) -> ReidModel:
    """A model of a settled architecture, with weights that were read.

    Args:
        open_clip_name: as open_clip lists it, the QuickGELU variant settled.
        image_size: height, width in pixels.
        weights: None: initialised at random.

    Raises:
        WeightsError: weights or size do not fit the architecture.
    """
    architecture = _check_size(open_clip_name, image_size)
    if weights is not None and weights.mean is None:
        weights = _with_usual_preprocessing(weights, open_clip_name)
    clip = _create(architecture, image_size, weights)
    tower = cast(Any, clip.get_submodule("visual"))
    if architecture.family == "resnet":
        _resize_attention_pool(tower, image_size)
    elif architecture.family == "timm":
        source = (weights.image_size if weights else None) or architecture.native_size
        _set_timm_size(tower, open_clip_name, source)
    if weights is not None:
        load_into(clip, weights, architecture.native_size)
    if architecture.family == "timm":
        _set_timm_size(tower, open_clip_name, image_size)  # after the weights: timm resizes all that depends on it
    pretrained = weights.source if weights else "none (random initialisation)"
    log.info("Model %s at %dx%d, weights: %s", open_clip_name, *image_size, pretrained)
    return ReidModel(
        clip,
        open_clip_name=open_clip_name,
        image_size=image_size,
        native_size=architecture.native_size,
        pretrained=pretrained,
    )


def _check_size(open_clip_name: str, image_size: tuple[int, int]) -> Architecture:
    architecture = describe(open_clip_name)
    check_size(open_clip_name, image_size, architecture.native_size, architecture.stride)
    return architecture


def _create(architecture: Architecture, image_size: tuple[int, int], weights: Weights | None) -> nn.Module:
    """The CLIP model as open_clip makes it, initialised at random, its preprocessing set."""
    open_clip = import_open_clip()
    preprocess = {"mean": weights.mean, "std": weights.std} if weights else None
    try:
        with _without_line("No pretrained weights loaded"):
            clip = open_clip.create_model(
                architecture.name,
                precision="fp32",
                device="cpu",
                pretrained_text=False,  # else a text tower of Hugging Face's is downloaded, to be frozen
                force_image_size=image_size if architecture.family == "vit" else None,
                force_preprocess_cfg=preprocess,
            )
    except Exception as error:  # asserts, missing packages, a tokenizer that would have to be downloaded
        raise WeightsError(
            f"Model {architecture.name} cannot be built at {image_size[0]}x{image_size[1]}", one_line(error)
        ) from error
    return cast(nn.Module, clip)


@contextmanager
def _without_line(start: str) -> Iterator[None]:
    """Keep one line of open_clip's out of the log: weights come after it, or the profile has asked for none."""

    def keep(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(start)

    root = logging.getLogger()
    root.addFilter(keep)
    try:
        yield
    finally:
        root.removeFilter(keep)


def _resize_attention_pool(tower: Any, image_size: tuple[int, int]) -> None:
    """Give a ModifiedResNet, which open_clip makes for squares only, the position table of another grid.

    The new table is drawn as open_clip draws it; weights, where there are any, are resampled into it.
    """
    native = tower.attnpool.positional_embedding
    tower.image_size = image_size
    table = position_table(tower)
    if table is None or native.shape[0] == table.grid[0] * table.grid[1] + 1:
        return
    channels = native.shape[1]
    positions = torch.randn(table.grid[0] * table.grid[1] + 1, channels) / channels**0.5
    tower.attnpool.positional_embedding = nn.Parameter(positions)


def _set_timm_size(tower: Any, name: str, size: tuple[int, int]) -> None:
    if tuple(tower.image_size) == size:
        return
    features = getattr(tower.trunk, "feature_info", None) or [{}]
    stride = int(features[-1].get("reduction", 1))
    check_size(name, size, tuple(tower.image_size), (stride, stride))
    try:
        tower.set_input_size(size)
    except Exception as error:  # timm's towers each have their own reasons
        raise WeightsError(
            f"Model {name} does not take images of {size[0]}x{size[1]}",
            f"{one_line(error)}; its own size is {list(tower.image_size)}",
        ) from error


def _with_usual_preprocessing(weights: Weights, name: str) -> Weights:
    """Mean and std for a file that does not say them: those of the architecture's tags, where all agree."""
    open_clip = import_open_clip()
    variants = (base_name(name), name)
    configs = [
        open_clip.get_pretrained_cfg(variant, tag)
        for variant in variants
        for tag in open_clip.list_pretrained_tags_by_model(variant)
    ]
    pairs = {(tuple(config["mean"]), tuple(config["std"])) for config in configs}
    mean, std = pairs.pop() if len(pairs) == 1 else (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    return replace(weights, mean=tuple(mean), std=tuple(std))
