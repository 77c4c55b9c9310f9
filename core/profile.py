"""The profile of one run: every key with its type, range, default and meaning. The reference page is made from this.

Values are in the units that their description names. Nothing here touches the file system.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Rate = Annotated[float, Field(gt=0, le=10)]
Chance = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]


def _listed(value: Any) -> Any:
    """TOML has arrays; the profile keeps tuples, which nobody can change."""
    return tuple(value) if isinstance(value, list) else value


def _height_and_width(value: Any) -> Any:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError("must be height and width, for example [256, 128]")
    return tuple(value)


def _matches(pattern: str, words: str) -> AfterValidator:
    """Text of a pattern; `words` say what is allowed to somebody who does not read patterns."""
    allowed = re.compile(pattern)

    def check(value: str) -> str:
        if not allowed.fullmatch(value):
            raise ValueError(words)
        return value

    return AfterValidator(check)


def _none_or_some(value: int) -> int:
    if value == 1:
        raise ValueError("must be 0, or 2 at least: batch normalisation cannot train on an image alone")
    return value


def _some_distinct(value: tuple[int, ...]) -> tuple[int, ...]:
    if not value:
        raise ValueError("must name a split at least, for example [0]")
    if len(set(value)) != len(value):
        raise ValueError("must not name a split twice")
    return value


def _writable(value: str) -> str:
    if any(ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 or ord(char) == 127 for char in value):
        raise ValueError("must not hold control characters")
    return value


def _regex_with_one_group(value: str) -> str:
    if value:
        try:
            groups = re.compile(value).groups
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        if groups != 1:
            raise ValueError("must have exactly one group, the camera")
    return value


Text = Annotated[str, AfterValidator(_writable)]
_LABEL = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
_LABEL_WORDS = "must start with a letter or digit and hold letters (A-Z, a-z), digits and . _ + - only"
Label = Annotated[str, Field(max_length=64), _matches(_LABEL, _LABEL_WORDS)]
OptionalLabel = Annotated[str, Field(max_length=64), _matches(f"({_LABEL})?", f"{_LABEL_WORDS}, or be empty")]
Device = Annotated[
    str, _matches("auto|cuda(:[0-9]{1,3})?|mps|cpu", "must be auto, cuda, cuda:N (N from 0 to 999), mps or cpu")
]
ImageSize = Annotated[
    tuple[Annotated[int, Field(ge=16, le=4096)], Annotated[int, Field(ge=16, le=4096)]],
    BeforeValidator(_height_and_width),
]


class Table(BaseModel):
    """A TOML table: strict types, no unknown keys, no infinities, frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Run(Table):
    name: Label = Field("reid", description="the experiment; first part of every file name")
    dir: Text = Field("runs", description="folder that holds the run folders", min_length=1)
    device: Device = Field("auto", description="`auto`, `cuda`, `cuda:1`, `mps` or `cpu`")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        description="autocast type of the forward pass; weights stay fp32. "
        "`auto`: bf16 on a GPU that has it, else fp16 on CUDA, else fp32",
    )
    tf32: bool = Field(
        True,
        description="on CUDA in `fp32`: products of training and embedding in TensorFloat-32, faster and with 10 bits "
        "of mantissa; losses and rankings are in full fp32 all the same",
    )
    seed: int = Field(0, description="seed of every random draw", ge=0, le=2**31 - 1)


class Data(Table):
    root: Text = Field(
        ...,
        description="folder with `train/`, `query0/`, `gallery0/` …; `demo:hands` is the built-in synthetic set",
        min_length=1,
    )
    dataset: Label = Field("dataset", description="name of the data set, for file names")
    aspect: OptionalLabel = Field("", description="part or view of it (`dorsal-right`), for file names")
    image_size: ImageSize = Field(
        (224, 224), description="height, width in pixels; images are squashed to it, never cropped"
    )
    normalize: Literal["none", "clip"] = Field(
        "clip", description="`clip`: the model's own mean and std; `none`: pixels in 0..1"
    )
    decode: Literal["fast", "exact"] = Field(
        "fast",
        description="`fast`: JPEGs are decoded at a reduced scale, which differs by less than 1/255 on average; "
        "`exact`: in full",
    )
    cache_gb: float = Field(
        50.0,
        description="GB that resized images may take in the cache on the disk, all data sets together "
        "(`reid-tui cache`); 0: they are kept in memory only",
        ge=0,
        le=100_000,
    )
    camera_pattern: Annotated[Text, AfterValidator(_regex_with_one_group)] = Field(
        "",
        description="regular expression with one group that finds the camera in an image's file name "
        "(Market-1501: `_c(\\d+)`); empty: cameras unknown",
    )
    unreadable_images: Literal["stop", "leave-out"] = Field(
        "stop",
        description="whether an image that cannot be read ends the run, or is left out of its batch and of the "
        "rankings, named and counted",
    )


class Model(Table):
    name: Text = Field(..., description="open_clip model (`ViT-B-16`, `RN50`) or `RN-tiny`", min_length=1)
    pretrained: Text = Field(
        "none",
        description="open_clip tag (`openai`), local `.pt`, `.pth` or `.safetensors` file, or `none`",
        min_length=1,
    )
    quick_gelu: Literal["auto", "yes", "no"] = Field(
        "auto",
        description="whether the weights were trained with QuickGELU (OpenAI, DFN, MetaCLIP: yes; "
        "LAION, DataComp: no); `auto` asks the tag or the file",
    )


class Train(Table):
    epochs: int = Field(60, description="epochs at the most", ge=1, le=100_000)
    batch_size: int = Field(32, description="images in a batch", ge=2, le=65_536)
    lr: Rate = Field(1e-5, description="learning rate of the image encoder (Adam)")
    classifier_lr_scale: Annotated[float, Field(gt=0, le=10_000)] = Field(
        0.1, description="the classifier's learning rate as a multiple of `lr`"
    )
    weight_decay: float = Field(0.0, description="L2 penalty (Adam)", ge=0, le=10)
    grad_clip: float = Field(1.0, description="largest gradient norm over all parameters; 0: no clipping", ge=0)
    triplet_margin: float = Field(
        0.3,
        description="margin of the batch-hard triplet loss, in Euclidean distance of L2-normalised embeddings",
        ge=0,
        le=2,
    )
    triplet_weight: float = Field(1.0, description="weight of the triplet loss beside cross-entropy", ge=0)
    label_smoothing: Share = Field(0.0, description="label smoothing of cross-entropy")
    warmup_epochs: float = Field(
        0.0, description="epochs of linear warm-up of the learning rate; at most `epochs`", ge=0
    )
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="learning rate after the warm-up; `cosine` falls to 0 at the last epoch"
    )
    sampler: Literal["shuffle", "pk"] = Field(
        "shuffle", description="`shuffle`: every image once; `pk`: batches of P identities x K images"
    )
    images_per_identity: int = Field(
        4, description="K of the `pk` sampler; `batch_size` must be a multiple of it, twice it at least", ge=2
    )
    checkpoint_minutes: float = Field(
        10.0,
        description="minutes between two saves of `_LAST.pth` within an epoch; each epoch's end saves it as well",
        gt=0,
    )
    early_stop_patience: int = Field(
        3, description="epochs without a better Rank-1 after which the run ends; 0: never", ge=0
    )
    micro_batch: Annotated[int, Field(ge=0, le=65_536), AfterValidator(_none_or_some)] = Field(
        0,
        description="images that go through the image encoder at once, to save memory; 0: the whole batch. The loss "
        "still sees the whole batch, at the price of a second forward pass; batch normalisation sees such a part",
    )
    grad_checkpointing: bool = Field(
        False,
        description="keep the inputs of the encoder's blocks alone and compute the rest again in the backward pass: "
        "less memory, about a third slower, same result; for towers without batch normalisation (ViT, not RN50)",
    )
    compile: bool = Field(
        False,
        description="`torch.compile` the training's forward pass: the first batches take minutes, later ones are "
        "faster, mostly on CUDA; needs a C++ compiler",
    )


class Augment(Table):
    flip: Chance = Field(
        0.0,
        description="probability that a training image is mirrored left to right; it makes a right hand of a left one, "
        "so leave it at 0 where sides tell identities apart",
    )
    crop_padding: int = Field(
        0,
        description="pixels that a training image is widened by on each side, its edge repeated, before a crop of its "
        "old size is cut out at random; below half of the image's shorter side",
        ge=0,
        le=2_047,
    )
    erase: Chance = Field(
        0.0,
        description="probability that a box of a training image (0.02 to 0.4 of its area) is filled with the model's "
        "mean colour: random erasing (Zhong et al., 2020)",
    )


class Validate(Table):
    on: Literal["splits", "held-out"] = Field(
        "splits",
        description="`splits`: `queryN`/`galleryN`, which are test splits; "
        "`held-out`: a seeded share of the training identities",
    )
    splits: Annotated[
        tuple[Annotated[int, Field(ge=0, le=99)], ...], BeforeValidator(_listed), AfterValidator(_some_distinct)
    ] = Field((0,), description="the numbers N of the splits; metrics are averaged over them")
    held_out_share: float = Field(0.2, description="share of the training identities held out", gt=0, lt=1)
    every: int = Field(1, description="validate after every so many epochs, and after the last", ge=1)


class Profile(Table):
    """One run, whole: what `profiles/*.toml` hold, with every default filled in."""

    run: Run = Field(default_factory=Run)
    data: Data
    model: Model
    train: Train = Field(default_factory=Train)
    augment: Augment = Field(default_factory=Augment)
    validation: Validate = Field(default_factory=Validate, alias="validate")

    def tables(self) -> dict[str, dict[str, Any]]:
        """The TOML tables, every default spelled out; arrays as lists."""
        return self.model_dump(mode="json", by_alias=True)

    @model_validator(mode="after")
    def _keys_fit_each_other(self) -> Profile:
        if broken := [message for _, message in broken_rules(self.model_dump(by_alias=True))]:
            raise ValueError("; ".join(broken))
        return self


def broken_rules(tables: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The rules across keys that are broken: (keys, what is wrong and the way out) of each.

    Args:
        tables: values that are right by themselves; a rule that needs one that is not there is left out.
    """
    train = tables.get("train", {})
    match train:
        case {"sampler": "pk", "batch_size": batch, "images_per_identity": k}:
            keys = ("train.batch_size", "train.images_per_identity", "train.sampler")
            if batch % k:
                text = f"is not a multiple of train.images_per_identity {k}, as sampler `pk` needs"
                yield keys, f"train.batch_size {batch} {text}"
            elif batch < 2 * k:
                text = f"holds one identity of train.images_per_identity {k}, so no negatives; {2 * k} is the least"
                yield keys, f"train.batch_size {batch} {text}"
    match train:
        case {"warmup_epochs": warmup, "epochs": epochs} if warmup > epochs:
            text = f"is more than train.epochs {epochs}: the full rate would never be reached; lower it"
            yield ("train.warmup_epochs", "train.epochs"), f"train.warmup_epochs {warmup:g} {text}"
    match train:
        case {"micro_batch": part, "batch_size": batch} if part > batch:
            text = f"is more than train.batch_size {batch}; 0 takes the whole batch at once"
            yield ("train.micro_batch", "train.batch_size"), f"train.micro_batch {part} {text}"
    match tables:
        case {"augment": {"crop_padding": padding}, "data": {"image_size": [height, width]}}:
            most = (min(height, width) - 1) // 2
            if padding > most:
                text = f"is half of data.image_size [{height}, {width}] or more; {most} is the most"
                yield ("augment.crop_padding", "data.image_size"), f"augment.crop_padding {padding} {text}"
