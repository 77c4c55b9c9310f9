"""open_clip's architectures by name: which there are, which sizes they take, and which QuickGELU variant is meant."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.errors import WeightsError
from core.profile import Model

QUICK_GELU_SUFFIX = "-quickgelu"
OWN_ARCHITECTURES = Path(__file__).parent / "models"


@dataclass(frozen=True)
class Evidence:
    """What a tag or a file says of the activation its weights were trained with, and where it says so."""

    quick_gelu: bool
    because: str


@dataclass(frozen=True)
class Architecture:
    """One open_clip model.

    Args:
        name: as open_clip lists it, the QuickGELU variant settled ("ViT-B-16-quickgelu").
        family: `vit` and `resnet` are open_clip's own image towers, `timm` those of timm.
        native_size: height, width in pixels that open_clip builds it for.
        stride: height, width in pixels of a patch, or of a cell of the last feature map; (1, 1) where the tower
            alone knows (timm).
    """

    name: str
    family: str
    native_size: tuple[int, int]
    stride: tuple[int, int]


def import_open_clip() -> Any:
    """The module `open_clip`, with this program's own architectures (`RN-tiny`) registered.

    Raises:
        WeightsError: it is not installed, or torch and torchvision are not builds of the same release: their
            compiled parts then disagree, which shows as "operator torchvision::nms does not exist".
    """
    try:
        open_clip = importlib.import_module("open_clip")
    except ModuleNotFoundError as error:
        raise WeightsError(
            "open_clip cannot be imported",
            f"{error}; install it with: python -m pip install 'open_clip_torch>=3.3,<4'",
        ) from error
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        # A second try, after torchvision failed half-way, ends in an AttributeError or an ImportError.
        torch, torchvision = _installed("torch"), _installed("torchvision")
        raise WeightsError(
            "open_clip cannot be imported",
            f"{one_line(error)}\n"
            f"torch {torch} and torchvision {torchvision} do not match: they must come from one release and one "
            f"index (both for CPU, or both for the same CUDA). Install the torchvision of this torch with:\n"
            f"python -m pip install --force-reinstall 'torch=={torch.partition('+')[0]}' torchvision",
        ) from error
    known = set(open_clip.list_models())
    for path in sorted(OWN_ARCHITECTURES.glob("*.json")):
        if path.stem not in known:
            open_clip.add_model_config(path)
    return open_clip


def base_name(name: str) -> str:
    """An architecture's name without its activation: "ViT-B-16" for "ViT-B-16-quickgelu"."""
    return name.removesuffix(QUICK_GELU_SUFFIX)


def known_name(name: str) -> str:
    """A profile's `model.name` as open_clip lists it ("ViT-B/16" is "ViT-B-16").

    Raises:
        WeightsError: open_clip has no such architecture; the message names the nearest.
    """
    if problem := name_problem(name, import_open_clip().list_models()):
        raise WeightsError(f"Model {name} {'cannot be used' if ':' in name else 'is not known'}", problem)
    return _cleaned(name)


def name_problem(name: str, known: Collection[str]) -> str:
    """Why a profile's `model.name` is none of the known architectures, and the way out; empty: it is one."""
    for schema in ("hf-hub:", "local-dir:"):
        if name.startswith(schema):
            return (
                f"names with {schema} are not taken, because open_clip then leaves model.pretrained unread; set "
                "model.name to the architecture (ViT-B-16) and model.pretrained to a tag or to the weights file"
            )
    if _cleaned(name) in known:
        return ""
    return f"open_clip has no architecture of that name{nearest(_cleaned(name), known)}"


@lru_cache
def names_on_the_disk() -> frozenset[str]:
    """The architectures of the open_clip that is installed, and this program's own: without its import, which takes
    seconds. Empty where open_clip is not there."""
    spec = importlib.util.find_spec("open_clip")
    packages = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    listed = {path.stem for package in packages for path in (package / "model_configs").glob("*.json")}
    return frozenset(listed | {path.stem for path in OWN_ARCHITECTURES.glob("*.json")}) if listed else frozenset()


def _cleaned(name: str) -> str:
    return name.replace("/", "-")


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that names up to three near names, or nothing."""
    folded = {one.casefold(): one for one in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)
    return f"; nearest: {', '.join(folded[one] for one in near)}" if near else ""


def resolve_variant(spec: Model, evidence: Evidence | None) -> str:
    """The name of the variant with the activation that the weights were trained with.

    open_clip takes weights into the other variant without a word (a tag: with a warning), and the embeddings are
    then quietly worse. So: what tag or file say, else what the profile states, else no.

    Args:
        spec: the profile's `[model]`.
        evidence: what tag or file say; None: nothing.

    Returns:
        A name that open_clip lists, with or without "-quickgelu".

    Raises:
        WeightsError: evidence and profile contradict each other, or neither says anything and it matters.
    """
    name = known_name(spec.name)
    open_clip = import_open_clip()
    stated = _stated(spec, name)
    base = base_name(name)
    both = {base, base + QUICK_GELU_SUFFIX} <= set(open_clip.list_models())
    if both:
        single = None
    else:
        quick_gelu = bool(open_clip.get_model_config(name).get("quick_gelu", False))
        single = Evidence(quick_gelu, f"open_clip has {name} {_with(quick_gelu)} only")
    claims = [claim for claim in (evidence, stated, single) if claim is not None]
    for claim in claims[1:]:
        if claim.quick_gelu != claims[0].quick_gelu:
            raise WeightsError(
                f"Model {spec.name} with weights {spec.pretrained} cannot be used",
                f"{claims[0].because}, but {claim.because}; {_way_out(claims[0], both)}",
            )
    if single is not None:
        return name
    if claims:
        return base + QUICK_GELU_SUFFIX if claims[0].quick_gelu else base
    if spec.pretrained == "none":
        return name
    raise WeightsError(
        f"Weights {spec.pretrained} may or may not be QuickGELU weights",
        f"{base} comes with QuickGELU and with GELU, the two have the same tensors, and nothing in the file tells "
        f'which it was trained with; set model.quick_gelu = "yes" (OpenAI, DFN, MetaCLIP) or "no" (LAION, DataComp)',
    )


def describe(name: str) -> Architecture:
    """What open_clip's configuration says of an architecture.

    Raises:
        WeightsError: open_clip has no architecture of that name.
    """
    vision = import_open_clip().get_model_config(known_name(name))["vision_cfg"]
    native = _pair(vision.get("image_size", 224))
    if vision.get("timm_model_name"):
        return Architecture(name, "timm", native, (1, 1))
    if isinstance(vision.get("layers", 12), list):
        return Architecture(name, "resnet", native, (32, 32))
    return Architecture(name, "vit", native, _pair(vision.get("patch_size", 16)))


def check_size(name: str, size: tuple[int, int], native: tuple[int, int], stride: tuple[int, int]) -> None:
    """Refuse a size whose last rows or columns the tower would drop without a word.

    Args:
        name: the architecture, for the message.
        size, native: height, width in pixels; the native one is always taken, as the weights were made with it.
        stride: height, width of a patch, in pixels.

    Raises:
        WeightsError: height or width is no multiple of the stride; the message names the nearest that are.
    """
    if size == native or not any(side % step for side, step in zip(size, stride, strict=True)):
        return
    below = [max(side // step, 1) * step for side, step in zip(size, stride, strict=True)]
    above = [-(-side // step) * step for side, step in zip(size, stride, strict=True)]
    fitting = " or ".join(str(list(pair)) for pair in dict.fromkeys((tuple(below), tuple(above))))
    raise WeightsError(
        f"Model {name} does not take images of {size[0]}x{size[1]}",
        f"height and width must be multiples of {stride[0]} and {stride[1]} pixels, else the rest of every image is "
        f"dropped; set data.image_size to {fitting}",
    )


def one_line(error: BaseException, limit: int = 300) -> str:
    """An error's text without line breaks, or its type where it has none."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _pair(size: Any) -> tuple[int, int]:
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    return int(height), int(width)


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _with(quick_gelu: bool) -> str:
    return "with QuickGELU" if quick_gelu else "with GELU"


def _stated(spec: Model, name: str) -> Evidence | None:
    """What the profile says: `model.quick_gelu`, or the variant's name written out."""
    if spec.quick_gelu == "no" and name.endswith(QUICK_GELU_SUFFIX):
        raise WeightsError(
            f"Model {spec.name} contradicts itself",
            f'the name says QuickGELU and model.quick_gelu = "no" says GELU; set model.name to {base_name(name)}, or '
            f'model.quick_gelu to "auto"',
        )
    if spec.quick_gelu != "auto":
        quick_gelu = spec.quick_gelu == "yes"
        activation = "QuickGELU" if quick_gelu else "GELU"
        return Evidence(quick_gelu, f'model.quick_gelu = "{spec.quick_gelu}" says {activation}')
    if name.endswith(QUICK_GELU_SUFFIX):
        return Evidence(True, f"model.name = {spec.name} says QuickGELU")
    return None


def _way_out(first: Evidence, both: bool) -> str:
    if not both:
        return "take an architecture that has this activation, or other weights"
    return (
        f'leave model.quick_gelu at "auto" and "{QUICK_GELU_SUFFIX}" out of model.name for the variant '
        f"{_with(first.quick_gelu)}, or take other weights"
    )
