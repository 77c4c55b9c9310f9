"""Reading one image: any mode, any orientation, the size that was asked for, or an error that names the file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image, ImageFilter
from PIL import ImageFile as PillowFile
from PIL.JpegImagePlugin import JpegImageFile

from core.data.images import read_image
from core.errors import DataError
from core.printable import shown

Image.init()
# All that Pillow writes; EPS and PDF are programs for Ghostscript, not images.
FORMATS = sorted(Image.SAVE.keys() - {"EPS", "PDF"})


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def quarters() -> Image.Image:
    """40 wide, 60 high: red, green over blue, white."""
    image = Image.new("RGB", (40, 60), "red")
    image.paste("lime", (20, 0, 40, 30))
    image.paste("blue", (0, 30, 20, 60))
    image.paste("white", (20, 30, 40, 60))
    return image


def corners(pixels: np.ndarray) -> list[tuple[int, ...]]:
    """The four corners, each channel as 0 or 1."""
    bright = pixels > 127
    return [tuple(map(int, bright[y, x])) for y in (0, -1) for x in (0, -1)]


RED, LIME, BLUE, WHITE = (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)


def photo(width: int, height: int) -> Image.Image:
    """Soft blotches with sharp edges and grain, like a photograph."""
    draw = np.random.default_rng(0)
    image = Image.fromarray(draw.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((width, height))
    image.paste((20, 60, 40), (width // 3, height // 4, width // 2, height // 2))
    grain = draw.normal(0, 6, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def test_size_is_height_then_width_and_nothing_is_cropped(tmp_path):
    pixels = read_image(save(tmp_path / "a.png", quarters()), (16, 96))
    assert pixels.shape == (16, 96, 3)
    assert pixels.dtype == np.uint8
    assert corners(pixels) == [RED, LIME, BLUE, WHITE]


def test_shrinking_averages_fine_detail(tmp_path):
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels = read_image(save(tmp_path / "a.png", Image.fromarray(stripes)), (8, 8))
    assert np.abs(pixels.astype(int) - 127).max() < 16


def test_result_can_be_written(tmp_path):
    read_image(save(tmp_path / "a.png", quarters()), (16, 16))[0, 0, 0] = 1


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize(
    ("orientation", "stored_by"),
    [
        (1, None),
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE),
        (6, Image.Transpose.ROTATE_90),
        (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_270),
    ],
)
def test_orientation_is_honoured(tmp_path, suffix, orientation, stored_by):
    upright = quarters().resize((400, 600), Image.Resampling.NEAREST)
    stored = upright if stored_by is None else upright.transpose(stored_by)
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = read_image(save(tmp_path / f"a.{suffix}", stored, exif=exif), (30, 20))
    assert pixels.shape == (30, 20, 3)
    assert corners(pixels) == [RED, LIME, BLUE, WHITE]


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01"]
)
def test_damaged_orientation_does_not_cost_the_image(tmp_path, exif):
    pixels = read_image(save(tmp_path / "a.jpg", quarters(), exif=exif), (60, 40))
    assert corners(pixels) == [RED, LIME, BLUE, WHITE]


@pytest.mark.parametrize("size", [(96, 96), (64, 200), (200, 64)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_reduced_decoding_of_a_jpeg_costs_nothing_visible(tmp_path, size, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.jpg", photo(1600, 1200), quality=92, exif=exif)
    with Image.open(path) as image:
        whole = image.convert("RGB")
    whole = whole.transpose(Image.Transpose.ROTATE_270) if orientation == 6 else whole
    expected = np.asarray(whole.resize(size[::-1], Image.Resampling.BILINEAR), dtype=float)
    assert np.abs(read_image(path, size) - expected).mean() < 1


@pytest.mark.parametrize("size", [(224, 224), (256, 128), (96, 96), (64, 64)])
@pytest.mark.parametrize("quality", [40, 75, 90])
@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_reduced_decoding_of_photographs_costs_nothing_visible(tmp_path, name, quality, size):
    folder = Path(sklearn.datasets.__file__).parent / "images"
    with Image.open(folder / name) as photograph:
        path = save(tmp_path / name, photograph.resize((1037, 691)), quality=quality)  # no multiple of 2, 4 or 8
    difference = read_image(path, size).astype(int) - read_image(path, size, exact=True)
    assert np.abs(difference).mean() < 1


@pytest.mark.parametrize(("quality", "decoded_at"), [(30, (400, 300)), (95, (800, 600))])
def test_detail_in_a_jpeg_asks_for_more_of_its_scale(tmp_path, monkeypatch, quality, decoded_at):
    assert scale_of(save(tmp_path / "a.jpg", photo(1600, 1200), quality=quality), (224, 224), monkeypatch) == decoded_at


def test_a_jpeg_is_decoded_at_reduced_scale(tmp_path, monkeypatch):
    assert scale_of(save(tmp_path / "a.jpg", photo(1600, 1200)), (160, 160), monkeypatch) == (400, 300)


def scale_of(path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Width and height that an image is decoded at."""
    decoded = []
    load = JpegImageFile.load

    def watched(self):
        decoded.append(self.size)
        return load(self)

    monkeypatch.setattr(JpegImageFile, "load", watched)
    read_image(path, size)
    return decoded[0]


class TestModes:
    def test_greyscale_with_and_without_alpha(self, tmp_path):
        grey = read_image(save(tmp_path / "a.png", Image.new("L", (9, 9), 77)), (4, 4))
        assert (grey == 77).all()
        clear = read_image(save(tmp_path / "b.png", Image.new("LA", (9, 9), (200, 128))), (4, 4))
        assert np.abs(clear.astype(int) - 100).max() <= 1

    def test_one_bit(self, tmp_path):
        image = Image.new("1", (8, 8), 1)
        image.paste(0, (0, 0, 4, 8))
        pixels = read_image(save(tmp_path / "a.png", image), (2, 2))
        assert pixels[0, 0].max() < 64
        assert pixels[0, 1].min() > 192

    def test_palette_and_its_transparency(self, tmp_path):
        image = quarters().quantize(4)
        assert corners(read_image(save(tmp_path / "a.png", image), (60, 40))) == [RED, LIME, BLUE, WHITE]
        transparent = image.getpixel((39, 59))
        path = save(tmp_path / "b.png", image, transparency=transparent)
        assert corners(read_image(path, (60, 40))) == [RED, LIME, BLUE, (0, 0, 0)]

    def test_transparent_pixels_are_black_whatever_they_hide(self, tmp_path):
        image = Image.new("RGBA", (8, 8), (255, 10, 200, 0))
        image.paste((0, 255, 0, 255), (0, 0, 4, 8))
        pixels = read_image(save(tmp_path / "a.png", image), (8, 8))
        assert (pixels[:, 0] == (0, 255, 0)).all()
        assert (pixels[:, -1] == 0).all()
        assert pixels[..., (0, 2)].max() == 0

    def test_cmyk(self, tmp_path):
        path = save(tmp_path / "a.jpg", quarters().convert("CMYK"), quality=95)
        assert corners(read_image(path, (60, 40))) == [RED, LIME, BLUE, WHITE]

    @pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
    def test_16_bit_greys_keep_their_range(self, tmp_path, suffix):
        ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (4, 1))
        pixels = read_image(save(tmp_path / f"a.{suffix}", Image.fromarray(ramp)), (4, 256))
        assert np.abs(pixels[0, :, 0].astype(int) - np.arange(256)).max() <= 1

    def test_32_bit_greys_are_taken_as_16_bit_ones(self, tmp_path):
        image = Image.fromarray(np.array([[0, 32768, 65535, 10**6]], np.int32))
        pixels = read_image(save(tmp_path / "a.tif", image), (1, 4))
        assert pixels[0, :, 0].tolist() == [0, 128, 255, 255]

    @pytest.mark.parametrize("highest", [1.0, 255.0])
    def test_floating_point(self, tmp_path, highest):
        values = np.array([[0, 0.5, 1.0, np.nan]], np.float32) * np.float32(highest)
        pixels = read_image(save(tmp_path / "a.tif", Image.fromarray(values)), (1, 4))
        assert pixels[0, :, 0].tolist() == [0, 128, 255, 0]

    def test_palette_of_an_icns(self, tmp_path):
        """Pillow gives it no palette, as which alone it asks for transparency."""
        image = Image.new("RGB", (64, 64), "red")
        image.paste("lime", (32, 0, 64, 64))
        path = save(tmp_path / "a.icns", image.quantize(2))
        assert corners(read_image(path, (64, 64))) == [RED, LIME, RED, LIME]

    def test_first_frame_of_an_animation(self, tmp_path):
        frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
        path = save(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
        assert corners(read_image(path, (4, 4))) == [RED] * 4


class TestFaults:
    def fails(self, path, *words):
        with pytest.raises(DataError) as caught:
            read_image(path, (32, 32))
        for word in (path.name, *words):
            assert word in caught.value.message
        assert ";" in caught.value.message  # the way out comes after it

    def test_empty(self, tmp_path):
        (tmp_path / "a.jpg").touch()
        self.fails(tmp_path / "a.jpg", "empty")

    def test_no_image(self, tmp_path):
        (tmp_path / "a.jpg").write_text("<html>404 not found</html>")
        self.fails(tmp_path / "a.jpg", "no image")

    def test_vanished(self, tmp_path):
        self.fails(tmp_path / "a.jpg", "not there")

    def test_link_to_nothing(self, tmp_path):
        (tmp_path / "a.jpg").symlink_to(tmp_path / "gone.jpg")
        self.fails(tmp_path / "a.jpg", "not there")

    def test_folder(self, tmp_path):
        (tmp_path / "a.jpg").mkdir()
        self.fails(tmp_path / "a.jpg", "folder")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
    def test_named_pipe_does_not_block(self, tmp_path):
        os.mkfifo(tmp_path / "a.jpg")
        self.fails(tmp_path / "a.jpg", "device")

    def test_no_permission(self, tmp_path):
        path = save(tmp_path / "a.png", quarters())
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("this user may read everything")
        self.fails(path, "permissions")

    @pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "tif", "webp"])
    @pytest.mark.parametrize("kept", [0.05, 0.5, 0.9])
    @pytest.mark.parametrize("lenient", [False, True])
    def test_cut_short(self, tmp_path, monkeypatch, suffix, kept, lenient):
        monkeypatch.setattr(PillowFile, "LOAD_TRUNCATED_IMAGES", lenient)
        path = save(tmp_path / f"a.{suffix}", photo(200, 160))
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * kept)])
        self.fails(path)

    def test_jpeg_of_which_the_rest_is_zeros(self, tmp_path):
        path = save(tmp_path / "a.jpg", photo(200, 160))
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] + bytes(len(data) // 2))
        self.fails(path, "zeros")

    def test_jpeg_that_is_filled_up_with_zeros_is_whole(self, tmp_path):
        path = save(tmp_path / "a.jpg", photo(200, 160))
        expected = read_image(path, (32, 32))
        path.write_bytes(path.read_bytes() + bytes(512))
        assert (read_image(path, (32, 32)) == expected).all()

    def test_damage_inside_a_png(self, tmp_path):
        path = save(tmp_path / "a.png", photo(64, 64))
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
        self.fails(path, "damaged")

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
    @pytest.mark.parametrize("kind", FORMATS)
    def test_any_damage_gives_pixels_or_a_fault(self, tmp_path, kind, mode):
        path = tmp_path / f"a.{kind.lower()}"
        try:
            photo(40, 48).convert(mode).save(path, format=kind)
        except (OSError, ValueError, KeyError, RuntimeError):
            return  # a mode that the format does not have
        whole = path.read_bytes()
        for seed in range(60):
            draw = np.random.default_rng(seed)
            content = np.frombuffer(whole, np.uint8).copy()
            reach = min(200, len(content)) if seed % 2 else len(content)  # headers are where most goes wrong
            content[draw.integers(0, reach, draw.integers(1, 10))] = draw.integers(0, 256)
            path.write_bytes(content[: draw.integers(1, len(content))] if seed % 5 == 0 else content)
            try:
                assert read_image(path, (16, 12)).shape == (16, 12, 3)
            except DataError as error:
                assert path.name in error.message

    @pytest.mark.parametrize("kind", [AssertionError, AttributeError])  # of .icns and Spider files
    def test_what_pillow_trips_over_is_a_fault(self, tmp_path, monkeypatch, kind):
        def broken(*_):
            raise kind

        path = save(tmp_path / "a.png", quarters().convert("L"))
        monkeypatch.setattr(Image.Image, "convert", broken)
        self.fails(path, "damaged", kind.__name__)

    def test_too_many_pixels(self, tmp_path, monkeypatch):
        path = save(tmp_path / "a.png", quarters())
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        self.fails(path, "pixels")

    def test_name_cannot_write_to_the_terminal(self, tmp_path):
        with pytest.raises(DataError) as caught:
            read_image(tmp_path / "a\x1b[2Jb\n.jpg", (8, 8))
        assert "a\\x1b[2Jb\\n.jpg" in caught.value.message


def test_shown_keeps_letters_and_escapes_the_rest():
    assert shown("Hände 1.jpg") == "Hände 1.jpg"
    shown("a\udc80\u202e.jpg").encode()
    assert shown("\u202e") == "\\u202e"


def test_blur_is_not_mistaken_for_damage(tmp_path):
    """A picture without detail compresses to almost nothing, and is whole."""
    path = save(tmp_path / "a.jpg", Image.new("RGB", (300, 300), "grey").filter(ImageFilter.BLUR), quality=10)
    assert read_image(path, (8, 8)).std() < 2
