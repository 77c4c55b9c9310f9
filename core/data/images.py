"""One image file in, one array of the wanted size out, or an error that names the file: never half an image."""

from __future__ import annotations

import os
import stat
import struct
import zlib
from math import ceil
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError
from torch.nn.functional import interpolate

from core.data.pixel_cache import Pixels
from core.errors import DataError
from core.printable import shown

# What Pillow's decoders are known to raise on a damaged file, besides OSError.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    AttributeError,
    AssertionError,
    struct.error,
    zlib.error,
)

# EXIF orientation to what turns the stored image upright (Exif 2.32, tag 0x0112).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPS_AXES = {5, 6, 7, 8}

# JPEGs are decoded at 1/2, 1/4 or 1/8 scale as long as so many times the target is left. The decoder's own reduction
# is a box filter. On photographs, at many sizes and qualities, the mean difference to decoding in full was 0.98/255 at
# the most with 1.5 times, and 0.84/255 with 1.25 times in files that have little detail to lose, as their size tells.
_MARGIN = 1.5
_MARGIN_OF_LITTLE_DETAIL = 1.25
_LITTLE_DETAIL = 0.1  # bytes of the file for each pixel


def read_image(path: Path, size: tuple[int, int], *, exact: bool = False) -> Pixels:
    """Read an image, turn it upright and squash it to `size`; nothing is cropped.

    Bilinear with antialiasing. Of an animation the first frame is taken. Transparent pixels are laid over black, the
    colour that cut-out re-identification images and padding have; what a file hides under them is not seen.
    16-bit and 32-bit greys are taken as 0..65535, floating-point greys as 0..1 or, where one is larger, 0..255.

    Args:
        path: any file that Pillow reads, in any mode.
        size: (height, width) in pixels.
        exact: decode JPEGs in full before resizing; else at reduced scale, which cannot be seen and is much faster.

    Returns:
        uint8 array of shape (height, width, 3), RGB.

    Raises:
        DataError: the file is gone, may not be read, is empty, damaged, cut short, too large, or no image.
    """
    # Scripts set this switch for the whole program, and half images, grey from the middle down, are what it gives.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # opening a named pipe would wait for ever
            raise unreadable(path, "is a folder or a device, not a file", "move it away")
        with path.open("rb") as file:
            return _decode(path, file, size, exact)
    except FileNotFoundError as error:
        raise unreadable(path, "is not there (any more)", "put it back, or start again without it") from error
    except PermissionError as error:
        raise unreadable(path, "may not be read by this user", "change its permissions (chmod u+r)") from error
    except UnidentifiedImageError as error:
        problem = "is no image that Pillow knows, or its beginning is damaged"
        raise unreadable(path, problem, "replace it or move it away") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        problem = f"has too many pixels to be read safely ({error or 'out of memory'})"
        raise unreadable(path, problem, "scale it down") from error
    except _DAMAGE as error:
        cause = str(error) or type(error).__name__
        raise unreadable(path, f"is damaged or cut short ({cause})", "replace it or move it away") from error


def unreadable(path: Path, problem: str, way_out: str) -> DataError:
    """The error for one image file."""
    return DataError("Image cannot be read", f"{shown(path)} {problem}; {way_out}")


def _decode(path: Path, file: BinaryIO, size: tuple[int, int], exact: bool) -> Pixels:
    if not file.read(1):
        raise unreadable(path, "is empty (0 bytes)", "replace it or delete it")
    file.seek(0)
    height, width = size
    with Image.open(file) as image:
        drafted = None
        if image.format in {"JPEG", "MPO"}:
            if _ends_in_zeros(file):
                raise unreadable(path, "ends in zeros, as an interrupted copy does", "copy it again")
            stored = (height, width) if _orientation(image) in _SWAPS_AXES else (width, height)
            if not exact:
                margin = _margin(file, image)
                drafted = image.draft(None, (ceil(margin * stored[0]), ceil(margin * stored[1])))
        image.load()
        # Asked again after loading: Pillow turns a TIFF upright by itself, and a PNG may tell at its end.
        orientation = _orientation(image)
        stored = (height, width) if orientation in _SWAPS_AXES else (width, height)
        # A width of 427 at 1/4 is 106.75 pixels of the 107 that come: to take all of them would be a shift.
        box = drafted[1][2:] if drafted else image.size
        resized = _resized(np.array(_as_rgb(image)), stored, box)
    if orientation in _UPRIGHT:
        return np.array(Image.fromarray(resized).transpose(_UPRIGHT[orientation]))
    return resized


def _resized(pixels: Pixels, size: tuple[int, int], box: tuple[float, float]) -> Pixels:
    """Bilinear with antialiasing, as Pillow's but several times as fast; it may differ by 1.

    Args:
        pixels: (H, W, 3).
        size: width, height to come.
        box: width, height of the part of `pixels`, from its first, that is the image.
    """
    # The mapping is by these factors; the last digits see to it that the size is not one too small by rounding.
    factors = tuple(wanted / there * (1 + 1e-9) for wanted, there in zip(size[::-1], box[::-1], strict=True))
    planes = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)  # in this order it is seen to be channels-last
    resized = interpolate(planes, scale_factor=factors, mode="bilinear", antialias=True, recompute_scale_factor=False)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


def _margin(file: BinaryIO, image: Image.Image) -> float:
    """How many times the target a JPEG must be decoded at, at the least."""
    detail = os.fstat(file.fileno()).st_size / (image.width * image.height)
    return _MARGIN_OF_LITTLE_DETAIL if detail <= _LITTLE_DETAIL else _MARGIN


def _ends_in_zeros(file: BinaryIO) -> bool:
    """Whether a JPEG ends in zeros that no end-of-image marker comes before; its decoder would read them as grey."""
    position = file.tell()
    file.seek(-min(64, file.seek(0, 2)), 2)
    zeros = not any(file.read())
    if zeros:  # some cameras fill up the last block, after the marker
        file.seek(0)
        zeros = not file.read().rstrip(b"\0").endswith(b"\xff\xd9")
    file.seek(position)
    return zeros


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1..8; 1, upright, where there is none or it cannot be read."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _DAMAGE:  # the pixels are whole all the same
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_as_bytes(np.asarray(image))).convert("RGB")
    bare = image.mode == "P" and image.palette is None  # of an .icns; the decoder alone knows its colours
    if bare or image.has_transparency_data:
        clear = image.convert("RGBA")
        black = Image.new("RGBA", clear.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, clear).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _as_bytes(grey: NDArray[np.generic]) -> Pixels:
    """Greys of 16 or 32 bits as 8 bits, by range; Pillow's own conversion would clip all above 255 to white."""
    if grey.dtype.kind in "iu":
        return (np.clip(grey.astype(np.int64), 0, 65535) >> 8).astype(np.uint8)
    values = np.nan_to_num(grey.astype(np.float64), nan=0.0, posinf=255.0, neginf=0.0)
    scale = 255.0 if values.max(initial=0.0) <= 1.0 else 1.0
    return np.clip(np.rint(values * scale), 0, 255).astype(np.uint8)
