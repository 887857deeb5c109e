"""The latents of all items while points are made from them: in memory, or on disk, even from one try to the next."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rosetta.arrays import Floats, LazyArray
from rosetta.errors import OutputError
from rosetta.files import held_folder, read_small, unfinished, write_small
from rosetta.sources.spill import Spill

HELD = 1 << 26  # bytes of latents that stay in memory
MARK, MEANS, SDS, DONE = "distillation.json", "means.f32", "sds.f32", "done.f32"
LARGEST_MARK = 1 << 16


@dataclass
class LatentCache:
    """Latents of all items, put there shard by shard.

    Parameters
    ----------
    means, sds : float32 array or Spill, shape (n_items, n_dims)
        Where they are; None for standard deviations that nobody gives.
    shard_rows : int
        Rows of a shard.
    done : bool array, shape (n_shards,)
        Which shards are there.
    log : Spill, optional
        The same on disk, for the next try.
    """

    means: Floats | Spill
    sds: Floats | Spill | None
    shard_rows: int
    done: npt.NDArray[np.bool_]
    log: Spill | None = None

    def has(self, start: int) -> bool:
        """Whether the shard that begins with this row is there."""
        return bool(self.done[start // self.shard_rows])

    def put(self, start: int, means: Floats, sds: Floats | None) -> None:
        """Put a shard there; if there is to be a next try, it survives this one."""
        for held, block in ((self.means, means), (self.sds, sds)):
            if isinstance(held, Spill):
                held.write(start, block)  # type: ignore[arg-type]
            elif held is not None:
                held[start : start + len(means)] = block
        shard = start // self.shard_rows
        self.done[shard] = True
        if self.log is not None:
            for held in (self.means, self.sds):
                if isinstance(held, Spill):
                    held.sync()
            self.log.write(shard, np.ones((1, 1), np.float32))

    @property
    def latents(self) -> tuple[LazyArray, LazyArray | None]:
        """Means and standard deviations."""
        return self.means, self.sds


@contextmanager
def kept_latents(
    output: Path, n_items: int, n_dims: int, *, has_sds: bool, shard_rows: int, mark: dict[str, object], resume: bool
) -> Iterator[LatentCache]:
    """Yield where latents are kept.

    Parameters
    ----------
    output : path
        The bundle to be: latents on disk are its neighbours, and gone when it is there.
    mark : dict
        What the latents are of, as JSON: those of an earlier try are gone on with if it is the same.
    resume : bool
        Whether they are kept for a next try if this one comes to an end before its time.

    Raises
    ------
    OutputError
        If latents of an earlier try are of another model or data, or nobody says what is to become of them.
    """
    shape, n_shards = (n_items, n_dims), -(-n_items // shard_rows)
    done = np.zeros(n_shards, dtype=bool)
    if not resume and 4 * n_items * n_dims <= HELD:
        sds = np.empty(shape, np.float32) if has_sds else None
        yield LatentCache(np.empty(shape, np.float32), sds, shard_rows, done)
        return
    with _folder(output, mark, resume=resume) as folder:
        files = [Spill(folder / MEANS, shape)]
        if has_sds:
            files.append(Spill(folder / SDS, shape))
        log = None
        if resume:
            log = Spill(folder / DONE, (n_shards, 1))
            done |= log[0:n_shards][:, 0] > 0
        try:
            yield LatentCache(files[0], files[1] if has_sds else None, shard_rows, done, log)
        finally:
            for each in (*files, *([log] if log else [])):
                each.close()


@contextmanager
def _folder(output: Path, mark: dict[str, object], *, resume: bool) -> Iterator[Path]:
    if not resume:
        with tempfile.TemporaryDirectory(prefix=f".{output.name}.", suffix=".tmp", dir=output.parent) as folder:
            yield Path(folder)
        return
    growing = unfinished(output)
    with held_folder(growing, output):
        _check_mark(growing, mark)
        try:
            yield growing
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(
                f"interrupted; the latents so far are in {growing}: the same command with `resume` goes on from there"
            ) from error
        shutil.rmtree(growing)  # only when all went well


def _check_mark(folder: Path, mark: dict[str, object]) -> None:
    """See to it that the latents in a folder are those of `mark`, or that there are none."""
    path = folder / MARK
    try:
        found = json.loads(read_small(path, limit=LARGEST_MARK, what="the mark of a distillation"))
    except FileNotFoundError:
        if any(each.name != ".lock" for each in folder.iterdir()):
            raise OutputError(
                f"{folder} is in the way, and is no unfinished distillation: remove it yourself"
            ) from None
        write_small(path, json.dumps(mark).encode())
        return
    except ValueError:
        found = {}
    other = [key for key in mark if found.get(key) != mark[key]]
    if other:
        raise OutputError(
            f"{folder} holds an interrupted distillation of something else (another {', '.join(other)}): remove the "
            "folder, or choose another output"
        )


def digest_of(*parts: object) -> str:
    """Return a short digest of what is printed of parts."""
    return hashlib.sha256("\n".join(map(repr, parts)).encode()).hexdigest()[:32]
