"""A folder of images: each file is an item."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import MissingExtraError, SourceError
from rosetta.sources.rows import Rows, SourceKind, gone, sources

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
FORMATS = ("PNG", "JPEG", "TIFF", "BMP")  # no others are tried, whatever a file is called
SKIP = "Mend or remove it, or leave such files out with `skip_bad`"


class Look(NamedTuple):
    """What all images of a folder have in common."""

    shape: tuple[int, ...]  # (height, width), with 3 behind it for colours
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        height, width = self.shape[:2]
        colours = "RGB" if len(self.shape) == 3 else "grey"
        return f"{width} × {height} pixels, {colours}, {self.dtype.itemsize * 8} bits"


def rows(folder: Path, name: str | None, skip_bad: bool = False) -> Rows:
    """Open the images in `folder` and below, in the order of their relative paths.

    Grey images are items of shape (height, width), others of (height, width, 3), in red, green and blue; uint8, or
    uint16 where grey has 16 bits. Pixels are as they are stored: no note on how the camera was held turns them, and no
    colour profile changes them. Palettes become colours, black and white 0 and 255. Hidden files and folders, links to
    folders, and links to files elsewhere are passed over.

    Parameters
    ----------
    folder : path
        Where to look.
    name : None
        There is nothing to name.
    skip_bad : bool
        Decode every file now, and leave out those that cannot be, or that do not look like most others.

    Raises
    ------
    SourceError
        If there is no image, one cannot be read, or two differ in size, colours or bits.
    MissingExtraError
        If Pillow is not installed.
    """
    if name is not None:
        raise SourceError(f"{folder} is a folder of images, each of which is an item: leave '::{name}' out")
    paths = files_below(folder, ENDINGS)
    if not paths:
        raise SourceError(f"{folder} holds no image ({', '.join(ENDINGS)})")
    look, kept, skipped = (_most_alike if skip_bad else _all_alike)(folder, paths)

    def read_rows(start: int, stop: int) -> Array:
        block = np.empty((stop - start, *look.shape), look.dtype)
        for row in range(start, stop):
            try:
                image = _pixels(folder / kept[row])
            except SourceError as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    raise gone(folder, row, row + 1, why=f"{kept[row]} is not there") from error
                raise
            if (found := Look(image.shape, image.dtype)) != look:
                raise gone(folder, row, row + 1, why=f"{kept[row]} is now {found}, and was {look}")
            block[row - start] = image
        return block

    columns = {
        "file": lambda: np.array([path.as_posix() for path in kept], dtype=str),
        "folder": lambda: np.array(["/".join(path.parent.parts) for path in kept], dtype=str),
    }
    shape = (len(kept), *look.shape)
    return Rows(shape, look.dtype, 1, read_rows, columns=columns, skipped=skipped)


def files_below(folder: Path, endings: Collection[str]) -> list[Path]:
    """Return the files with one of `endings`, in lower case, in `folder` and below, relative to it and in order."""
    found, inside = [], folder.resolve()
    for here, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(".")]
        for name in names:
            path = Path(here, name)
            if name.startswith(".") or path.suffix.lower() not in endings or not path.is_file():
                continue
            if not path.is_symlink() or path.resolve().is_relative_to(inside):
                found.append(path.relative_to(folder))
    return sorted(found, key=lambda path: path.as_posix())


def _all_alike(folder: Path, paths: list[Path]) -> tuple[Look, list[Path], tuple[str, ...]]:
    """Return how all images look, by their headers."""
    look = _look(folder / paths[0])
    for path in paths[1:]:
        if (other := _look(folder / path)) != look:
            raise SourceError(
                f"{folder / path} is {other}, but {folder / paths[0]} is {look}: all must have the same size, colours "
                "and bits. Bring the files to one size and kind first (`preprocess='resize'` works on items of equal "
                "size), or leave those that are not as most are out with `skip_bad`"
            )
    return look, paths, ()


def _most_alike(folder: Path, paths: list[Path]) -> tuple[Look, list[Path], tuple[str, ...]]:
    """Return how most images look, by their pixels, those that do, and what is wrong with the others."""
    looks: dict[Path, Look] = {}
    problems: list[str] = []
    for path in paths:
        try:
            image = _pixels(folder / path)
        except SourceError as error:
            problems.append(str(error))
            continue
        looks[path] = Look(image.shape, image.dtype)
    if not looks:
        raise SourceError(f"{folder} holds {len(paths)} images, and none of them can be read")
    ((look, _),) = Counter(looks.values()).most_common(1)
    problems += [f"{folder / path} is {other}, and most are {look}" for path, other in looks.items() if other != look]
    return look, [path for path, other in looks.items() if other == look], tuple(problems)


def _look(path: Path) -> Look:
    with _opened(path) as image:
        width, height = image.size
        shape = (height, width) if _is_grey(image) else (height, width, 3)
        return Look(shape, np.dtype(np.uint16 if _has_16_bits(image) else np.uint8))


def _pixels(path: Path) -> Array:
    with _opened(path) as image:
        if _has_16_bits(image):
            return np.asarray(image).astype(np.uint16)
        if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
            alpha = np.asarray(image.convert("RGBA"))[..., 3]
            if alpha.min() < 255:
                raise SourceError(f"{path} is transparent in places: save it without an alpha channel. {SKIP}")
        return np.asarray(image.convert("L" if _is_grey(image) else "RGB"))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open an image of a kind that is read; whatever is wrong with the file is a SourceError."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("images", "pillow", "reading images") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of notes in a file that make no sense, but are not pixels
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=FORMATS) as image:
                _check_kind(path, image)
                yield image
        except (
            OSError, SyntaxError, ValueError, EOFError, TypeError, KeyError, IndexError, OverflowError, struct.error,
            zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning,
        ) as error:  # fmt: skip
            raise SourceError(f"{path} could not be read as an image ({error}). {SKIP}") from error


def _check_kind(path: Path, image: Any) -> None:
    n_frames = 1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)  # MPO: a photo and its previews
    if n_frames > 1:
        raise SourceError(f"{path} holds {n_frames} images, but an item is one: save them as files. {SKIP}")
    is_cut = ";16" in str(image.tile) and not _has_16_bits(image)  # Pillow leaves 8 of the 16 bits
    if is_cut or not (_is_grey(image) or image.mode in ("P", "PA", "RGB", "RGBA")):
        bits = " with 16 bits a colour" if is_cut else ""
        raise SourceError(
            f"{path} is of mode {image.mode}{bits}, which is not read: save it as grey of 8 or 16 bits, or as RGB of "
            f"8 bits a colour. {SKIP}"
        )


def _is_grey(image: Any) -> bool:
    return image.mode in ("1", "L", "LA") or _has_16_bits(image)


def _has_16_bits(image: Any) -> bool:
    return image.mode[:4] == "I;16" or bool(image.mode == "I" and image.format == "PNG")


for ending in ENDINGS:
    sources.register(ending)(SourceKind(rows, is_folder=True))
