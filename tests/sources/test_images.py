"""Images of a folder are items, if all look alike; whatever is wrong with one, its name is told."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rosetta.errors import SourceError
from rosetta.sources.images import rows

GREY = np.random.default_rng(0).integers(0, 256, size=(6, 4, 5), dtype=np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 256, size=(4, 5, 3), dtype=np.uint8)


def _save(folder: Path, name: str, pixels: np.ndarray | Image.Image, **options: object) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


def test_images_come_in_the_order_of_their_paths(tmp_path: Path):
    for name, pixels in zip(("b.png", "a/z.tif", "a/y/x.bmp", "A.PNG", ".hidden.png", ".h/c.png"), GREY, strict=True):
        _save(tmp_path, name, pixels)
    (tmp_path / "notes.txt").write_text("no image")

    found = rows(tmp_path, None)

    assert found.shape == (4, 4, 5)
    assert found.dtype == np.uint8
    assert found.columns["file"]().tolist() == ["A.PNG", "a/y/x.bmp", "a/z.tif", "b.png"]
    assert found.columns["folder"]().tolist() == ["", "a/y", "a", ""]
    assert (found.read(0, 4) == GREY[[3, 2, 1, 0]]).all()
    assert (found.read(2, 3) == GREY[[1]]).all()


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path):
    _save(tmp_path, "elsewhere/secret.png", GREY[0])
    _save(tmp_path, "data/a.png", GREY[1])
    (tmp_path / "data/b.png").symlink_to(tmp_path / "elsewhere/secret.png")
    (tmp_path / "data/c.png").symlink_to(tmp_path / "data/a.png")
    (tmp_path / "data/d").symlink_to(tmp_path / "elsewhere")

    assert rows(tmp_path / "data", None).columns["file"]().tolist() == ["a.png", "c.png"]


def _kinds() -> dict[str, tuple[Image.Image, np.ndarray]]:
    grey, colours = Image.fromarray(GREY[0]), Image.fromarray(COLOURS)
    deep = GREY[0].astype(np.uint16) * 257
    return {
        "grey": (grey, GREY[0]),
        "colours": (colours, COLOURS),
        "16 bits": (Image.fromarray(deep), deep),
        "palette": (grey.convert("P"), np.repeat(GREY[0][..., None], 3, axis=2)),
        "black and white": (Image.fromarray(GREY[0] > 99), np.where(GREY[0] > 99, 255, 0)),
        "opaque": (colours.convert("RGBA"), COLOURS),
        "grey opaque": (grey.convert("LA"), GREY[0]),
    }


@pytest.mark.parametrize("ending", [".png", ".tif"])
@pytest.mark.parametrize("kind", list(_kinds()))
def test_every_kind_of_pixel_becomes_grey_or_red_green_and_blue(tmp_path: Path, kind: str, ending: str):
    image, expected = _kinds()[kind]
    _save(tmp_path, f"a{ending}", image)

    for found in (rows(tmp_path, None), rows(tmp_path, None, True)):
        (pixels,) = found.read(0, 1)
        assert pixels.dtype == found.dtype == (np.uint16 if kind == "16 bits" else np.uint8)
        assert pixels.tolist() == expected.tolist()


def test_a_photo_is_read_as_it_is_stored_and_not_turned(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    path = _save(tmp_path, "a.jpeg", COLOURS, exif=exif)

    found = rows(tmp_path, None)

    assert found.shape == (1, 4, 5, 3)
    with Image.open(path) as image:
        assert (found.read(0, 1)[0] == np.asarray(image)).all()


def test_a_palette_that_could_be_transparent_but_is_not_is_read_without_a_warning(tmp_path: Path):
    _save(tmp_path, "a.png", Image.fromarray(GREY[0]).convert("P"), transparency=bytes([255] * 256))

    assert (rows(tmp_path, None).read(0, 1)[0, :, :, 0] == GREY[0]).all()


def _png(width: int, height: int, n_bits: int, colour: int, pixels: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, n_bits, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


def _spoil(folder: Path, how: str) -> None:
    path = folder / "b.png"
    many = [Image.fromarray(each) for each in GREY[:2]]
    if how == "size":
        _save(folder, "b.png", GREY[0][:3])
    elif how == "colours":
        _save(folder, "b.png", COLOURS)
    elif how == "bits":
        _save(folder, "b.png", GREY[0].astype(np.uint16))
    elif how == "transparent":
        _save(folder, "b.png", Image.fromarray(np.dstack([GREY[0]] * 4)))
    elif how == "cmyk":
        Image.fromarray(COLOURS).convert("CMYK").save(folder / "b.jpg")
    elif how == "frames":
        many[0].save(folder / "b.tiff", save_all=True, append_images=many[1:])
    elif how == "gif":
        many[0].save(path, format="GIF")
    elif how == "bomb":
        path.write_bytes(_png(20_000, 20_000, 1, 0, b""))
    elif how == "cut":
        path.write_bytes(_save(folder, "b.png", GREY[0]).read_bytes()[:-30])
    else:
        path.write_bytes(b"\x89PNG\r\n\x1a\n and no more")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("size", r"5 × 3 pixels, grey, 8 bits, but .*a\.png is 5 × 4 pixels.*resize"),
        ("colours", "5 × 4 pixels, RGB, 8 bits, but"),
        ("bits", "5 × 4 pixels, grey, 16 bits, but"),
        ("cmyk", "is of mode CMYK, which is not read: save it"),
        ("frames", "holds 2 images, but an item is one"),
        ("gif", "could not be read as an image"),
        ("bomb", "could not be read as an image .*exceeds limit"),
        ("noise", "could not be read as an image"),
    ],
)
def test_an_image_that_is_not_as_the_others_is_named_or_left_out(tmp_path: Path, how: str, words: str):
    _save(tmp_path, "a.png", GREY[0])
    _save(tmp_path, "c.png", GREY[1])
    _spoil(tmp_path, how)

    with pytest.raises(SourceError, match=rf"b\.(png|jpg|tiff) .*{words}.*`skip_bad`"):
        rows(tmp_path, None)
    found = rows(tmp_path, None, True)
    assert found.skipped != ()
    assert (found.read(0, 2) == GREY[:2]).all()


@pytest.mark.parametrize(("how", "words"), [("cut", "could not be read as an image"), ("transparent", "transparent")])
def test_what_only_pixels_show_is_found_when_they_are_read(tmp_path: Path, how: str, words: str):
    kind = COLOURS if how == "transparent" else GREY[0]
    _save(tmp_path, "a.png", kind)
    _save(tmp_path, "c.png", kind)
    _spoil(tmp_path, how)
    found = rows(tmp_path, None)

    assert (found.read(0, 1)[0] == kind).all()
    with pytest.raises(SourceError, match=rf"b\.png .*{words}.*`skip_bad`"):
        found.read(0, 3)
    assert rows(tmp_path, None, True).skipped != ()


def test_the_most_common_look_counts_and_not_that_of_the_first(tmp_path: Path):
    _save(tmp_path, "a.png", COLOURS)
    _save(tmp_path, "b.png", GREY[0])
    _save(tmp_path, "c.png", GREY[1])

    assert rows(tmp_path, None, True).shape == (2, 4, 5)


def test_colours_of_16_bits_are_refused_rather_than_cut(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(_png(2, 2, 16, 2, (b"\0" + bytes(12)) * 2))

    with pytest.raises(SourceError, match="mode RGB with 16 bits a colour"):
        rows(tmp_path, None)


def test_an_image_that_goes_or_changes_meanwhile_is_an_error(tmp_path: Path):
    for name in ("a.png", "b.png", "c.png"):
        _save(tmp_path, name, GREY[0])
    found = rows(tmp_path, None)
    (tmp_path / "b.png").unlink()
    _save(tmp_path, "c.png", GREY[0][:2])

    with pytest.raises(SourceError, match=r"rows 1 to 1 of .* can no longer be read \(b\.png is not there\)"):
        found.read(0, 2)
    with pytest.raises(SourceError, match=r"\(c\.png is now 5 × 2 pixels, grey, 8 bits, and was 5 × 4"):
        found.read(2, 3)


def test_a_folder_without_images_or_with_bad_ones_only_is_refused(tmp_path: Path):
    with pytest.raises(SourceError, match="holds no image"):
        rows(tmp_path, None)
    (tmp_path / "a.png").write_bytes(b"no")
    with pytest.raises(SourceError, match="holds 1 images, and none of them can be read"):
        rows(tmp_path, None, True)
    with pytest.raises(SourceError, match="leave '::x' out"):
        rows(tmp_path, "x")
