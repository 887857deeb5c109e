"""All items through the encoder, shard by shard: in this process, or by the workers of an executor."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import numpy as np

from rosetta.adapters import Adapted, Loading
from rosetta.adapters import open_model as load
from rosetta.arrays import Array, Floats, LazyArray
from rosetta.distillation.latent_cache import LatentCache
from rosetta.errors import IncompatibleError, RosettaError, WorkerError
from rosetta.inputs.matching import Features
from rosetta.inputs.prepare import Expected, open_matched
from rosetta.inputs.streaming import Stream
from rosetta.preprocessing import Fitted
from rosetta.sources import Source, is_on_disk

SHARD_ROWS, SMALLEST_SHARD = 65_536, 256
SHARD_BYTES = 1 << 25  # of inputs: large items have shards of fewer rows
AHEAD = 32  # shards that wait for an executor's workers

OnRows = Callable[[int, int], None]


class Encoded(NamedTuple):
    """A stretch of latents."""

    means: Floats  # float32, shape (n_items, n_dims)
    sds: Floats | None


@dataclass(frozen=True)
class Job:
    """What a worker needs: it opens the model, and data on disk, itself, and keeps them for the next shard."""

    token: str  # of this distillation: what a worker has opened for another is not used
    model: str
    loading: Loading
    data: Source
    features: Features
    expected: Expected | None
    steps: Fitted

    def rows(self, start: int, stop: int) -> Encoded:
        """Return the latents of rows of the source."""
        return self._told(lambda: self.inputs(_stream(self).read(start, stop), start))

    def inputs(self, inputs: Array, first: int) -> Encoded:
        """Return the latents of inputs that were sent along; the first is of row `first`."""
        return self._told(lambda: encoded(_model(self), inputs, first=first))

    def _told(self, work: Callable[[], Encoded]) -> Encoded:
        try:
            with _LOCK:  # of the threads of one worker
                return work()
        except RosettaError as error:  # of kinds that do not all travel
            raise WorkerError(str(error)) from None


def job_of(
    model: str, loading: Loading, source: Source, *, features: Features, expected: Expected, steps: Fitted
) -> Job:
    """Return what workers need, whatever folder they are in; what is in memory goes along shard by shard."""
    data = Source(None)
    if is_on_disk(source.data):
        rows = None if source.rows is None else absolute(source.rows)
        data = replace(source, data=absolute(str(source.data)), rows=rows)
    decoder = None if loading.decoder is None else absolute(loading.decoder)
    names = absolute(features) if isinstance(features, str) else features
    return Job(uuid4().hex, absolute(model), replace(loading, decoder=decoder), data, names, expected, steps)


def absolute(name: str) -> str:
    """Return a path, or FILE::NAME, as it is written in any folder; what is no file here stays as it is."""
    file, mark, rest = name.partition("::")
    for path, more in ((name, ""), (file, mark + rest)):
        if Path(path).exists():
            return f"{Path(path).absolute()}{more}"
    return name


_LOCK = threading.RLock()
_OPEN: dict[str, tuple[str, object]] = {}  # what a worker has opened last, by kind


def encoded(model: Adapted, inputs: Array, *, first: int = 0, what: str = "row") -> Encoded:
    """Return latents that are numbers, or raise IncompatibleError that names the row."""
    means, sds = model.encode(inputs)
    if not np.isfinite(means).all():
        row = first + int((~np.isfinite(means)).any(axis=1).argmax())
        raise IncompatibleError(f"the model gives NaN or infinity for {what} {row}: it does not fit the data")
    return Encoded(means, sds)


def encode_all(
    model: Adapted, inputs: LazyArray, kept: LatentCache, *, executor: Executor | None, job: Job, on_rows: OnRows
) -> None:
    """Encode what is not in `kept` yet, and put it there.

    Raises
    ------
    WorkerError
        If the executor's workers are gone, or cannot do their part.
    """
    shards = [(start, min(start + kept.shard_rows, len(inputs))) for start in range(0, len(inputs), kept.shard_rows)]
    waiting = [shard for shard in shards if not kept.has(shard[0])]
    n_done = len(inputs) - sum(stop - start for start, stop in waiting)
    on_rows(n_done, len(inputs))
    work = _here(model, inputs, waiting) if executor is None else _elsewhere(executor, inputs, waiting, job)
    for start, stop, found in work:
        kept.put(start, found.means, found.sds)
        n_done += stop - start
        on_rows(n_done, len(inputs))


def shard_rows(item_size: int) -> int:
    """Return how many items of so many numbers are encoded at a time."""
    return min(max(SHARD_BYTES // (4 * item_size), SMALLEST_SHARD), SHARD_ROWS)


def _here(model: Adapted, inputs: LazyArray, shards: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, Encoded]]:
    return ((start, stop, encoded(model, inputs[start:stop], first=start)) for start, stop in shards)


def _elsewhere(
    executor: Executor, inputs: LazyArray, shards: Sequence[tuple[int, int]], job: Job
) -> Iterator[tuple[int, int, Encoded]]:
    """Yield shards as they are done, whatever their order; a bounded number is on its way."""
    running: dict[Future[Encoded], tuple[int, int]] = {}
    rest = iter(shards)
    try:
        while True:
            for start, stop in rest:
                running[_submitted(executor, inputs, start, stop, job)] = (start, stop)
                if len(running) >= AHEAD:
                    break
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                start, stop = running.pop(future)
                yield start, stop, _result(future)
    finally:
        for future in running:
            future.cancel()


def _submitted(executor: Executor, inputs: LazyArray, start: int, stop: int, job: Job) -> Future[Encoded]:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")  # Dask's advice, which is for other work
            if is_on_disk(job.data.data):  # which a worker opens by its name
                return executor.submit(job.rows, start, stop)
            return executor.submit(job.inputs, inputs[start:stop], start)
    except RuntimeError as error:
        raise _gone(error) from error


def _result(future: Future[Encoded]) -> Encoded:
    try:
        return future.result()
    except RosettaError:
        raise
    except BrokenExecutor as error:
        raise _gone(error) from error
    except Exception as error:  # executors raise what they come across
        raise WorkerError(
            f"a worker could not do its part ({type(error).__name__}: {error}). Each needs this version of Rosetta, "
            "and model and data under the same paths; what is done is kept with `resume`"
        ) from error


def _gone(error: Exception) -> WorkerError:
    return WorkerError(
        f"the executor's workers are gone ({error}): start it anew and repeat the command; what is done is kept with "
        "`resume`"
    )


def _model(job: Job) -> Adapted:
    token, found = _OPEN.get("model", ("", None))
    if token != job.token or not isinstance(found, Adapted):
        found = load(job.model, job.loading)
        _OPEN["model"] = (job.token, found)
    return found


def _stream(job: Job) -> Stream:
    token, found = _OPEN.get("data", ("", None))
    if token != job.token or not isinstance(found, Stream):
        matched = open_matched(job.data, job.expected, features=job.features)
        found = Stream(matched.rows, job.steps, str(job.data))
        _OPEN["data"] = (job.token, found)
    return found
