"""CLIP models small enough to build in a test, registered with open_clip under names of their own.

tiny-vit has a QuickGELU twin; tiny-solo (GELU) and tiny-quick (QuickGELU) have none; tiny-timm, tiny-convnext and
tiny-swin have towers of timm's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn

from core.architectures import import_open_clip

TEXT = {"context_length": 8, "vocab_size": 32, "width": 32, "heads": 1, "layers": 1}
VIT = {"image_size": 32, "patch_size": 16, "width": 32, "head_width": 16, "layers": 1}
CONFIGS: dict[str, dict[str, Any]] = {
    "tiny-vit": {"embed_dim": 24, "vision_cfg": VIT, "text_cfg": TEXT},
    "tiny-vit-quickgelu": {"embed_dim": 24, "quick_gelu": True, "vision_cfg": VIT, "text_cfg": TEXT},
    "tiny-solo": {"embed_dim": 24, "vision_cfg": VIT, "text_cfg": TEXT},
    "tiny-quick": {"embed_dim": 24, "quick_gelu": True, "vision_cfg": VIT, "text_cfg": TEXT},
    "tiny-timm": {
        "embed_dim": 24,
        "custom_text": True,
        "vision_cfg": {"timm_model_name": "test_vit", "image_size": 160},
        "text_cfg": TEXT,
    },
    "tiny-convnext": {
        "embed_dim": 24,
        "vision_cfg": {"timm_model_name": "test_convnext", "image_size": 160},
        "text_cfg": TEXT,
    },
    "tiny-swin": {
        "embed_dim": 24,
        "vision_cfg": {"timm_model_name": "reid_tiny_swin", "image_size": 64},
        "text_cfg": TEXT,
    },
}


def reid_tiny_swin(pretrained: bool = False, **options: Any) -> nn.Module:
    """timm has no Swin this small; its window grows with the image, one eighth of the grid."""
    for ignored in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):
        options.pop(ignored, None)
    tower = SwinTransformer(img_size=64, embed_dim=16, depths=(1, 1), num_heads=(1, 1), window_size=2, **options)
    tower.default_cfg = {}
    return tower


timm.models.register_model(reid_tiny_swin)


def register(folder: Path) -> Any:
    """Make the names above known to open_clip, for this process; gives open_clip."""
    open_clip = import_open_clip()
    for name, config in CONFIGS.items():
        if name not in open_clip.list_models():
            path = folder / f"{name}.json"
            path.write_text(json.dumps(config))
            open_clip.add_model_config(path)
    return open_clip


def plain_state(open_clip: Any, name: str, **options: Any) -> dict[str, Tensor]:
    """The state dict of a model as open_clip itself initialises it."""
    model: nn.Module = open_clip.create_model(name, **options)
    return {key: value.clone() for key, value in model.state_dict().items()}


def embed(visual: nn.Module, size: tuple[int, int], seed: int = 0) -> Tensor:
    """Embeddings of two fixed random images in eval mode."""
    visual.eval()
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        result = visual(images)
    assert isinstance(result, Tensor)
    return result
