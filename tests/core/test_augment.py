"""Augmentations of a batch against plain loops over its images and pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.augment import AREA, ASPECT, FLIP, HEIGHT, LEFT, TOP, WIDTH, draw, erased, shifted
from core.data.on_device import to_images
from core.profile import Augment

ALL = Augment(flip=0.5, crop_padding=3, erase=0.5)
SIZE = (24, 17)


def pixels(images, size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (images, *size, 3), dtype=torch.uint8, generator=generator)


def padded_crop(image, flip, down, right):
    """By numpy's own padding: one image (H, W, 3), its edge repeated, cut out, mirrored."""
    reach = max(abs(down), abs(right))
    wide = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    height, width = image.shape[:2]
    crop = wide[reach + down : reach + down + height, reach + right : reach + right + width]
    return crop[:, ::-1] if flip else crop


sizes = st.tuples(st.integers(16, 40), st.integers(16, 40))


@given(
    size=sizes,
    images=st.integers(1, 5),
    flip=st.sampled_from([0.0, 0.5, 1.0]),
    padding=st.integers(0, 7),
    erase=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 2**31 - 1),
    batch=st.integers(1, 1000),
)
@settings(max_examples=60, deadline=None)
def test_equals_a_loop_over_the_images(size, images, flip, padding, erase, seed, batch):
    augment = Augment(flip=flip, crop_padding=padding, erase=erase)
    drawn = draw(augment, images, size, seed, 1, batch)
    before = pixels(images, size)
    moved = shifted(before, drawn)
    fill = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)
    after = erased(to_images(moved, None, None), drawn, fill)
    assert moved.shape == before.shape and after.shape == (images, 3, *size)
    for row, image, crop, result in zip(drawn.tolist(), before, moved, after, strict=True):
        mirrored, down, right, top, left, height, width = row
        assert abs(down) <= padding and abs(right) <= padding
        assert 0 <= top <= top + height <= size[0] and 0 <= left <= left + width <= size[1]
        assert mirrored == flip if flip != 0.5 else mirrored in (0, 1)
        assert bool(height and width) == bool(erase) if erase != 0.5 else bool(height) == bool(width)
        np.testing.assert_array_equal(crop.numpy(), padded_crop(image.numpy(), mirrored, down, right))
        for y in range(0, size[0], 3):
            for x in range(size[1]):
                inside = top <= y < top + height and left <= x < left + width
                expected = [1.0, 2.0, 3.0] if inside else (crop[y, x] / 255).tolist()
                assert result[:, y, x].tolist() == pytest.approx(expected)


def test_probability_0_changes_nothing_and_1_every_image():
    batch = pixels(64, SIZE)
    none = draw(Augment(), 64, SIZE, 0, 1, 1)
    assert torch.equal(shifted(batch, none), batch)
    images = to_images(batch, None, None)
    assert torch.equal(erased(images, none, torch.tensor(9.0)), images)
    every = draw(Augment(flip=1.0, erase=1.0), 64, SIZE, 0, 1, 1)
    assert torch.equal(shifted(batch, every), batch.flip(2))
    assert (erased(images, every, torch.tensor(9.0)) == 9.0).flatten(1).any(1).all()


@pytest.mark.parametrize("size", [(16, 4096), (4096, 16)])
def test_a_box_fits_into_images_of_any_shape(size):
    drawn = draw(Augment(erase=1.0), 200, size, 0, 1, 1)
    assert (drawn[:, HEIGHT] >= 1).all() and (drawn[:, WIDTH] >= 1).all()
    assert (drawn[:, TOP] + drawn[:, HEIGHT] <= size[0]).all() and (drawn[:, LEFT] + drawn[:, WIDTH] <= size[1]).all()


def test_boxes_are_those_of_the_paper():
    drawn = draw(Augment(erase=1.0), 4000, (256, 128), 3, 1, 1).double()
    share = drawn[:, HEIGHT] * drawn[:, WIDTH] / (256 * 128)
    aspect = drawn[:, HEIGHT] / drawn[:, WIDTH]
    assert AREA[0] * 0.9 < share.min() < 0.03 and 0.36 < share.max() < AREA[1] * 1.05
    assert ASPECT[0] * 0.9 < aspect.min() < 0.36 and 3.0 < aspect.max() < ASPECT[1] * 1.1


def test_shares_are_the_probabilities():
    drawn = draw(Augment(flip=0.3, crop_padding=4, erase=0.6), 20_000, SIZE, 0, 1, 1).double()
    assert drawn[:, FLIP].mean().item() == pytest.approx(0.3, abs=0.02)
    assert (drawn[:, HEIGHT] > 0).double().mean().item() == pytest.approx(0.6, abs=0.02)
    for column in (1, 2):  # nine places, each as likely as the next
        counts = torch.bincount(drawn[:, column].long() + 4, minlength=9)
        assert counts.min() > 20_000 / 9 * 0.85


def test_the_draws_follow_from_seed_epoch_and_batch_alone():
    again = [draw(ALL, 32, SIZE, seed, epoch, batch) for seed, epoch, batch in [(0, 1, 1)] * 2]
    assert torch.equal(*again)
    places = [(0, 1, 1), (0, 1, 2), (0, 2, 1), (1, 1, 1), (1, 2, 0)]
    others = [draw(ALL, 32, SIZE, *place) for place in places]
    assert all(not torch.equal(one, other) for n, one in enumerate(others) for other in others[:n])
    torch.manual_seed(0)
    np.random.seed(0)
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    draw(ALL, 32, SIZE, 0, 1, 1)
    assert torch.equal(torch.get_rng_state(), state[0]) and (np.random.get_state()[1] == state[1]).all()


def test_each_image_has_its_own_draw():
    drawn = draw(ALL, 64, SIZE, 0, 1, 1)
    assert len({tuple(row) for row in drawn.tolist()}) > 60


def test_what_is_on_does_not_change_the_draws_of_the_others():
    whole = draw(ALL, 64, SIZE, 0, 1, 1)
    flips = draw(Augment(flip=0.5), 64, SIZE, 0, 1, 1)
    boxes = draw(Augment(erase=0.5), 64, SIZE, 0, 1, 1)
    assert torch.equal(whole[:, FLIP], flips[:, FLIP])
    assert torch.equal(whole[:, TOP:], boxes[:, TOP:])


def test_the_draws_of_an_image_do_not_depend_on_those_behind_it():
    assert torch.equal(draw(ALL, 64, SIZE, 0, 1, 1)[:10], draw(ALL, 10, SIZE, 0, 1, 1))


def test_pixels_stay_beside_each_other_in_memory():
    """Convolutions take the layout over; see `to_images`."""
    drawn = draw(ALL, 8, SIZE, 0, 1, 1)
    images = to_images(shifted(pixels(8, SIZE), drawn), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    images = erased(images, drawn, torch.zeros(1, 3, 1, 1))
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_images_are_converted_on_the_device():
    batch = torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8)
    torch.testing.assert_close(to_images(batch, None, None).flatten(), torch.tensor([0.0, 0.2, 1.0]))
    normalised = to_images(batch, (0.0, 0.2, 0.5), (1.0, 1.0, 0.5))
    torch.testing.assert_close(normalised.flatten(), torch.tensor([0.0, 0.0, 1.0]))
    assert normalised.shape == (1, 3, 1, 1)
    assert math.isclose(batch.float().sum().item(), 306), "the pixels themselves are left as they are"
