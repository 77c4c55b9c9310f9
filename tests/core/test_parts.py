"""What the training step is given of a batch of pixels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from core.data.on_device import to_images
from core.data.pixel_cache import entries
from core.data.unreadable import stop
from core.errors import DataError
from core.parts import Parts


@pytest.fixture
def parts(tiny_profile):
    """Makes the parts of a tiny run, whose step only keeps what it is given."""
    with ThreadPoolExecutor(1) as pool:

        def make(augment=None, **data):
            profile = tiny_profile(data={"normalize": "clip", **data})
            tables = {**profile.tables(), "augment": augment or {}}
            tables["data"]["image_size"] = tuple(tables["data"]["image_size"])
            made = Parts(type(profile).model_validate(tables), pool, None, lambda text: None, stop)
            seen = []
            made.step = lambda images, ids: seen.append(images)
            return made, seen

        yield make


PIXELS = torch.randint(0, 256, (8, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def given(made, seen, epoch=1, batch=1):
    made.train_on(np.arange(8), PIXELS.clone(), epoch, batch)
    return seen.pop()


def test_nothing_is_changed_where_nothing_is_on(parts):
    made, seen = parts()
    assert torch.equal(given(made, seen), to_images(PIXELS, made.model.mean, made.model.std))


def test_augmentations_are_drawn_anew_for_each_batch_and_validation_has_none(parts):
    made, seen = parts({"flip": 0.5, "crop_padding": 4, "erase": 0.5})
    first = given(made, seen)
    assert torch.equal(given(made, seen), first)
    assert not torch.equal(given(made, seen, batch=2), first)
    assert not torch.equal(given(made, seen, epoch=2), first)
    plain, _ = parts()
    for model in (made.model, plain.model):
        model.eval()
    with torch.inference_mode():
        torch.testing.assert_close(made.embed(PIXELS), plain.embed(PIXELS))


@pytest.mark.parametrize("normalize", ["clip", "none"])
def test_a_box_is_filled_with_the_mean_colour_of_the_model(parts, normalize):
    made, seen = parts({"erase": 1.0}, normalize=normalize)
    images = given(made, seen)
    mean = torch.tensor(made.model.mean).view(3, 1, 1)
    fill = torch.zeros(3, 1, 1) if normalize == "clip" else mean
    before = to_images(PIXELS, made.mean, made.std)
    changed = (images != before).any(1)
    assert changed.flatten(1).any(1).all()
    for image, where in zip(images, changed, strict=True):
        assert torch.equal(image[:, where], fill.view(3, 1).expand(3, int(where.sum())))


def test_convolutions_compute_in_the_layout_of_the_images(parts):
    """Pixels arrive with their channels beside each other, and no convolution of the tower has to turn them around."""
    made, seen = parts({"flip": 0.5, "erase": 0.5})
    images = given(made, seen)
    outputs = []
    for module in made.model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda module, args, output: outputs.append(output))
    made.model(images)
    assert len(outputs) > 10
    assert all(output.is_contiguous(memory_format=torch.channels_last) for output in outputs)


def test_what_cannot_be_built_uses_no_cache(parts, monkeypatch, tmp_path):
    def fails(*_):
        raise DataError("No", "room")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("core.data.pixel_cache._LEFT_FREE", 0)  # however full the disk of the tests is
    monkeypatch.setattr("core.parts.ValidationImages", fails)
    with pytest.raises(DataError):
        parts(cache_gb=1.0)
    assert [entry.in_use for entry in entries()] == [False]
