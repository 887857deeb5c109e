"""What is kept of shadow senders, so that an interrupted audit goes on: their scores, and what they are of."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from rosetta.errors import OutputError, SourceError
from rosetta.files import held_folder, read_small, write_small
from rosetta.metrics import Doubles

MARK = "shadows.json"
LARGEST = 1 << 30


@dataclass(frozen=True)
class ShadowFolder:
    """A folder of finished shadows."""

    folder: Path
    shape: tuple[int, int]  # of a shadow's scores: attacks and items

    def load(self, number: int) -> Doubles | None:
        """Return the scores of a shadow that is finished, float64, shape (n_attacks, n_items)."""
        path = self._path(number)
        try:
            data = read_small(path, limit=LARGEST, what="the scores of a shadow sender")
        except FileNotFoundError:
            return None
        try:
            found = np.load(io.BytesIO(data), allow_pickle=False)
        except ValueError as error:
            raise SourceError(f"{path} is damaged ({error}): remove it to have the shadow made anew") from error
        if found.shape != self.shape or found.dtype != np.float64:
            raise SourceError(f"{path} holds other scores than expected: remove it to have the shadow made anew")
        return np.asarray(found)

    def save(self, number: int, scores: Doubles) -> None:
        """Keep the scores of a shadow."""
        data = io.BytesIO()
        np.save(data, scores)
        write_small(self._path(number), data.getvalue())

    def _path(self, number: int) -> Path:
        return self.folder / f"scores-{number:04d}.npy"


@contextmanager
def open_shadows(folder: Path | None, fingerprint: str, shape: tuple[int, int]) -> Iterator[ShadowFolder]:
    """Make the folder, or go on with one that is there; without a name, it is gone afterwards.

    Raises
    ------
    OutputError
        If the shadows in the folder are of another bundle, other data or other settings, or it holds something else.
    """
    if folder is None:
        with TemporaryDirectory(prefix="rosetta-shadows-") as temporary:
            yield ShadowFolder(Path(temporary), shape)
        return
    if folder.exists() and not (folder / MARK).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} is there already and holds no shadow senders: choose another `shadow_folder`")
    with held_folder(folder, folder):
        try:
            found = json.loads(read_small(folder / MARK, limit=1 << 16, what="the mark of shadow senders"))
        except FileNotFoundError:
            found = {"fingerprint": fingerprint}
            write_small(folder / MARK, json.dumps(found).encode())
        except ValueError:
            found = {}
        if found.get("fingerprint") != fingerprint:
            raise OutputError(
                f"{folder} holds shadow senders of another bundle, other data, or other settings: choose another "
                "`shadow_folder`, or remove it"
            )
        yield ShadowFolder(folder, shape)
