"""A synthetic set of hands, drawn with Pillow, for trying the program without any data of one's own.

An identity is the build of a hand: lengths and widths of the fingers, palm, nails, creases, veins, moles, and a skin
tone that many others share. An image is a pose, a scale, a light, a background and a crop of it.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from platformdirs import user_cache_path

from core.data.folders import new_folder
from core.data.pixel_cache import Pixels
from core.errors import DataError
from core.printable import shown

Point = tuple[float, float]
Colour = tuple[int, int, int]
Floats = NDArray[np.float64]

TRAIN_IDENTITIES, TRAIN_IMAGES = 40, 10
TEST_IDENTITIES, TEST_IMAGES = 20, 6
SIDE = 112

_SUPERSAMPLED = 3
_TONES = ((232, 190, 160), (205, 152, 115), (150, 100, 70), (98, 64, 48))  # few: many hands nearly share theirs
_FOLDERS = ("train", "query0", "gallery0")

# The mean hand, back of the right one, fingers up; the unit is the width of the palm, the origin its middle.
_ROOTS: tuple[Point, ...] = ((-0.36, -0.44), (-0.12, -0.52), (0.13, -0.49), (0.36, -0.38))
_LENGTHS = (0.82, 0.93, 0.86, 0.66)
_WIDTHS = (0.22, 0.225, 0.215, 0.19)
_SPLAYS = (-13.0, -3.0, 6.0, 17.0)  # degrees from straight up, clockwise


@dataclass(frozen=True)
class Hand:
    """What is fixed for one identity, in palm widths and degrees; of five fingers the last is the thumb."""

    tone: Floats
    palm: tuple[Point, ...]
    roots: tuple[Point, ...]
    lengths: tuple[float, ...]
    widths: tuple[float, ...]
    tapers: tuple[float, ...]
    splays: tuple[float, ...]
    nail: tuple[float, float, float]  # length and width in finger widths, squareness 0..1
    nail_colour: Floats
    creases: tuple[float, float, float]  # places along a finger 0..1, and strength
    veins: tuple[tuple[Point, ...], ...]
    moles: tuple[tuple[float, float, float], ...]  # x, y, radius


@dataclass(frozen=True)
class _Canvas:
    """What a hand is drawn on: its outline, its colours, and where a point of it lies; `unit` is pixels per width."""

    mask: ImageDraw.ImageDraw
    skin: ImageDraw.ImageDraw
    at: Callable[[Point], Point]
    unit: float


def draw_demo_hands(
    out: Path,
    seed: int = 0,
    *,
    identities: int = TRAIN_IDENTITIES,
    images: int = TRAIN_IMAGES,
    test_identities: int = TEST_IDENTITIES,
    test_images: int = TEST_IMAGES,
    side: int = SIDE,
) -> None:
    """Draw `train/`, and `query0/` and `gallery0/` of other identities: the first image of each is the gallery's.

    The same arguments draw the same images. All of it appears at once, or nothing does.

    Args:
        out: a new or empty folder.
        seed: of everything that is drawn.
        identities: of the training images, 2 at the least.
        images: of each training identity, 1 at the least.
        test_identities: of query and gallery, 2 at the least.
        test_images: of each test identity, 2 at the least.
        side: height and width in pixels, 16 at the least.

    Raises:
        DataError: `out` is not empty or cannot be written, or a number is too small.
    """
    if min(identities, test_identities, test_images) < 2 or images < 1 or side < 16:
        problem = "2 identities, 1 image for training and 2 for testing, and 16 pixels a side are the least"
        raise DataError("Hands cannot be drawn", problem)
    with new_folder(out) as folder:
        for person in range(identities + test_identities):
            hand = make_hand(np.random.default_rng((seed, person)))
            training = person < identities
            for number in range(images if training else test_images):
                pixels = draw_hand(hand, np.random.default_rng((seed, person, number)), side)
                kind = "train" if training else "query0" if number else "gallery0"
                place = folder / kind / f"hand-{person:03d}"
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(place / f"hand-{person:03d}_{number:02d}.jpg", quality=93)


def demo_root() -> Path:
    """Where the built-in set lies once it is drawn: the user's cache, by the version of the drawing."""
    return user_cache_path("reid-tui") / "demo-hands-v1"


def ensure_demo_hands() -> Path:
    """The folder of the built-in set, drawn on first use (seconds).

    Raises:
        DataError: it cannot be written, or part of what was drawn earlier is gone.
    """
    root = demo_root()
    if not root.is_dir() or not any(root.iterdir()):
        try:
            draw_demo_hands(root)
        except DataError:
            if not root.is_dir():  # else another program has drawn the same meanwhile
                raise
    expected = TRAIN_IDENTITIES * TRAIN_IMAGES + TEST_IDENTITIES * TEST_IMAGES
    found = sum(1 for kind in _FOLDERS for _ in (root / kind).glob("*/*.jpg"))
    if found != expected:
        problem = f"{shown(root)} has {found} of its {expected} images; remove the folder, and it is drawn again"
        raise DataError("Demo images are missing", problem)
    return root


def make_hand(draw: np.random.Generator) -> Hand:
    """Draw an identity."""

    def near(mean: float, spread: float) -> float:
        return mean + spread * float(np.clip(draw.normal(), -2, 2))

    stretch, girth, breadth = near(0.94, 0.12), near(1.0, 0.18), near(1.0, 0.12)
    tone = np.array(_TONES[draw.integers(len(_TONES))], dtype=float) * (1 + 0.07 * draw.uniform(-1, 1, 3))
    heel, wrist, low = near(0.40, 0.05), near(0.30, 0.035), near(0.52, 0.05)
    palm = (
        (-0.48 * breadth, -0.40),
        (-0.20 * breadth, -0.58),
        (0.14 * breadth, -0.56),
        (0.44 * breadth, -0.46),
        (0.50 * breadth, near(-0.10, 0.04)),
        (heel * breadth, low),
        (wrist, low + 0.22),
        (wrist, 1.6),
        (-wrist, 1.6),
        (-wrist, low + 0.22),
        (-heel * breadth, low),
        (-0.52 * breadth, near(-0.05, 0.04)),
    )
    roots = [(x * breadth, y + near(0, 0.02)) for x, y in _ROOTS]
    veins = []
    for _ in range(int(draw.integers(2, 5))):
        x, bend = near(0.0, 0.25), near(0.0, 0.12)
        veins.append(((x, 0.55), (x + bend, 0.15), (near(x, 0.12), -0.40)))
    moles = [(near(0, 0.24), near(0.0, 0.28), near(0.045, 0.010)) for _ in range(int(draw.integers(0, 5)))]
    hue = float(draw.choice([0.0, 0.0, 0.0, 0.94, 0.60, 0.36]))
    varnish = np.array(colorsys.hsv_to_rgb(hue, 0.65, 0.80)) * 255 if draw.random() < 0.4 else None
    return Hand(
        tone=tone,
        palm=palm,
        roots=(*roots, (-0.40 * breadth, near(0.22, 0.04))),
        lengths=(*(near(mean * stretch, 0.08) for mean in _LENGTHS), near(0.68, 0.07)),
        widths=(*(near(mean * girth, 0.012) for mean in _WIDTHS), near(0.24 * girth, 0.015)),
        tapers=tuple(near(0.82, 0.06) for _ in range(5)),
        splays=(*(near(mean, 5.0) for mean in _SPLAYS), near(-46.0, 10.0)),
        nail=(near(0.80, 0.16), near(0.66, 0.08), float(draw.random())),
        nail_colour=varnish if varnish is not None else tone * 0.75 + np.array([62.0, 45.0, 45.0]),
        creases=(near(0.40, 0.035), near(0.70, 0.03), near(0.20, 0.06)),
        veins=tuple(veins),
        moles=tuple(moles),
    )


def draw_hand(hand: Hand, draw: np.random.Generator, side: int) -> Pixels:
    """Draw an image of a hand: uint8, shape (side, side, 3), RGB, as a camera of that moment would see it."""
    large = side * _SUPERSAMPLED
    unit = large * draw.uniform(0.44, 0.48)
    turn = math.radians(np.clip(draw.normal(0, 3), -8, 8))
    middle = (large * draw.uniform(0.51, 0.55), large * draw.uniform(0.65, 0.69))

    def at(point: Point) -> Point:
        x, y = point
        return (
            middle[0] + unit * (x * math.cos(turn) - y * math.sin(turn)),
            middle[1] + unit * (x * math.sin(turn) + y * math.cos(turn)),
        )

    mask = Image.new("L", (large, large))
    skin = Image.new("RGB", (large, large), _colour(hand.tone))
    canvas = _Canvas(ImageDraw.Draw(mask), ImageDraw.Draw(skin), at, unit)
    _draw_palm(canvas, hand)
    for finger in range(5):
        angle = math.radians(hand.splays[finger] + draw.normal(0, 1.2))
        bent = hand.lengths[finger] * draw.uniform(0.97, 1.0)  # a bent finger looks shorter
        _draw_finger(canvas, hand, finger, angle, bent)
    small = (side, side)
    outline = mask.resize(small, Image.Resampling.BOX)
    cover = np.asarray(outline, dtype=float)[..., None] / 255
    inside = np.asarray(outline.filter(ImageFilter.GaussianBlur(side / 28)), dtype=float)[..., None] / 255
    shade = 0.72 + 0.28 * inside**1.5  # darker towards the edge, as what is round is
    colours = np.asarray(skin.resize(small, Image.Resampling.BOX), dtype=float) * shade
    scene = cover * colours + (1 - cover) * _background(draw, side)
    return _as_photographed(scene, draw)


def _draw_palm(canvas: _Canvas, hand: Hand) -> None:
    at, unit = canvas.at, canvas.unit
    outline = [at(point) for point in _rounded(hand.palm)]
    canvas.mask.polygon(outline, fill=255)
    vein, mole = _colour(hand.tone * np.array([0.78, 0.86, 0.95])), _colour(hand.tone * 0.45)
    for line in hand.veins:
        canvas.skin.line([at(point) for point in _curve(line)], fill=vein, width=max(1, round(unit * 0.045)))
    for x, y, radius in hand.moles:
        _disc(canvas.skin, at((x, y)), unit * radius, mole)


def _draw_finger(canvas: _Canvas, hand: Hand, finger: int, angle: float, length: float) -> None:
    along, across = (math.sin(angle), -math.cos(angle)), (math.cos(angle), math.sin(angle))
    x, y = hand.roots[finger]
    width, tip = hand.widths[finger] / 2, hand.widths[finger] / 2 * hand.tapers[finger]

    def on(share: float, aside: float) -> Point:
        """A place on the finger: share of its length from the root, and palm widths aside."""
        far = share * (length - tip)
        return canvas.at((x + along[0] * far + across[0] * aside, y + along[1] * far + across[1] * aside))

    side = [(-0.25, 1.0), (0.2, 1.0), (0.42, 1.03), (0.7, 0.95)]
    left = [on(share, -width * wide) for share, wide in side]
    right = [on(share, width * wide) for share, wide in side]
    canvas.mask.polygon([*left, on(1, -tip), on(1, tip), *reversed(right)], fill=255)
    _disc(canvas.mask, on(1, 0), canvas.unit * tip, 255)
    first, second, strength = hand.creases
    crease = _colour(hand.tone * (1 - strength))
    for share in (first,) if finger == 4 else (first, second):
        for shift in (-0.018, 0.018):
            ends = [on(share + shift, -width * 0.62), on(share + shift, width * 0.62)]
            canvas.skin.line(ends, fill=crease, width=max(1, round(canvas.unit * 0.016)))
    long, wide, square = hand.nail
    half, power = tip * wide, 2.0 + 3.0 * square  # a superellipse: 2 is an ellipse, 5 nearly a rectangle
    nail = []
    for step in range(20):
        cosine, sine = math.cos(step * math.pi / 10), math.sin(step * math.pi / 10)
        aside = math.copysign(abs(cosine) ** (2 / power), cosine) * half
        ahead = math.copysign(abs(sine) ** (2 / power), sine) * tip * long
        nail.append(on(1 + (ahead + tip * 0.15) / (length - tip), aside))
    canvas.skin.polygon(nail, fill=_colour(hand.nail_colour))


def _background(draw: np.random.Generator, side: int) -> Floats:
    """A tabletop: one colour, brighter to one side, with coarse and fine grain. Shape (side, side, 3), 0..255."""
    base = draw.uniform(190, 235) + draw.uniform(-6, 6, 3)
    coarse = Image.fromarray(draw.integers(0, 256, (6, 6), dtype=np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    blotches = (np.asarray(coarse, dtype=float) - 128)[..., None] * draw.uniform(0.02, 0.10)
    return np.clip(base + blotches + draw.normal(0, 4, (side, side, 1)), 0, 255)


def _as_photographed(scene: Floats, draw: np.random.Generator) -> Pixels:
    """Light and camera: exposure and colour temperature, which blur the tones into each other, falloff, noise."""
    side = scene.shape[0]
    warmth, tint = draw.normal(0, 0.03), draw.normal(0, 0.012)
    balance = np.array([1 + warmth, 1 + tint, 1 - warmth])
    towards = draw.uniform(0, 2 * math.pi)
    down, over = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    falloff = 1 + draw.uniform(0, 0.15) * (down * math.sin(towards) + over * math.cos(towards))
    lit = scene * balance * falloff[..., None] * math.exp(draw.uniform(-0.22, 0.10))
    seen: Pixels = np.clip(lit + draw.normal(0, 3, scene.shape), 0, 255).astype(np.uint8)
    return seen


def _rounded(corners: Sequence[Point]) -> list[Point]:
    """A closed outline with its corners cut off twice (Chaikin, 1974)."""
    line = list(corners)
    for _ in range(2):
        cut = []
        for (x0, y0), (x1, y1) in zip(line, [*line[1:], line[0]], strict=True):
            cut += [(0.75 * x0 + 0.25 * x1, 0.75 * y0 + 0.25 * y1), (0.25 * x0 + 0.75 * x1, 0.25 * y0 + 0.75 * y1)]
        line = cut
    return line


def _curve(points: Sequence[Point]) -> list[Point]:
    """A quadratic Bezier curve from the first to the last of three points."""
    (x0, y0), (x1, y1), (x2, y2) = points
    return [
        ((1 - t) ** 2 * x0 + 2 * t * (1 - t) * x1 + t**2 * x2, (1 - t) ** 2 * y0 + 2 * t * (1 - t) * y1 + t**2 * y2)
        for t in (step / 8 for step in range(9))
    ]


def _disc(on: ImageDraw.ImageDraw, middle: Point, radius: float, fill: int | Colour) -> None:
    x, y = middle
    on.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def _colour(values: Floats) -> Colour:
    red, green, blue = (round(float(value)) for value in np.clip(values, 0, 255))
    return red, green, blue
