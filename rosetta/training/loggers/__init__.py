"""Where a training's figures go as its epochs end: metrics.csv always, other loggers by name. One file for each."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, final

from rosetta.errors import MissingExtraError, OutputError, RosettaError
from rosetta.registry import Registry
from rosetta.training.loggers.csv import Figures, MetricsTable

METRICS = "metrics.csv"  # in the run folder


class LoggerWarning(UserWarning):
    """A logger that failed during a training, which goes on without it."""


@dataclass(frozen=True)
class Opening:
    """What a logger is opened with."""

    folder: Path  # the run folder, under construction: its name changes when the training is done
    name: str  # what the run is called
    settings: Mapping[str, object]
    logged: int | None  # last epoch that was logged before a training was resumed


class Logger(Protocol):
    """One open logger. What it raises costs the user this logger, and not the training."""

    def rewind(self, epoch: int) -> None:
        """Forget the rows after `epoch`."""

    def log(self, row: Mapping[str, float], step: int) -> None:
        """Write the figures of one epoch, without those that are not known."""

    def finish(self, summary: Mapping[str, float]) -> None:
        """Write the final figures, and close."""

    def fail(self, reason: str) -> None:
        """Say that the training failed, and close."""


Opener = Callable[[Opening], Logger]

# a plug-in imports its library, or raises MissingExtraError, and returns what opens a logger
loggers: Registry[Callable[[], Opener]] = Registry("logger", "rosetta.training.loggers")


def library(module: str, *, extra: str, package: str) -> Any:
    """Import an optional library without what it warns of itself, or raise MissingExtraError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(extra, package, f"`log={extra!r}`") from error


def choose_loggers(names: Iterable[str]) -> dict[str, Opener]:
    """Find loggers by name and import their libraries, before any work is done.

    Raises
    ------
    UsageError
        If there is no logger of such a name.
    MissingExtraError
        If its library is not installed.
    """
    return {name: loggers.get(name)() for name in dict.fromkeys(names)}


@final
class Loggers:
    """The open loggers of one training; a context manager that closes them however the training ends."""

    def __init__(self, table: MetricsTable, others: dict[str, Logger]) -> None:
        self._table = table
        self._others = others

    def rewind(self, epoch: int) -> None:
        """Forget the rows after `epoch`, as a training does that goes on from there.

        Weights & Biases and MLflow cannot forget: they keep what they have and skip those epochs when they come again.

        Raises
        ------
        OutputError
            If metrics.csv cannot be written.
        """
        self._table.rewind(epoch)
        self._each(lambda logger: logger.rewind(epoch))

    def log(self, row: Figures, step: int) -> None:
        """Write the figures of one epoch; None stands for one that is not known.

        A logger that fails is left out from then on, with one LoggerWarning.

        Raises
        ------
        OutputError
            If metrics.csv cannot be written.
        """
        self._table.append(row)
        known = {name: value for name, value in row.items() if value is not None}
        self._each(lambda logger: logger.log(known, step))

    def finish(self, summary: Mapping[str, float]) -> None:
        """Write the final figures, and close; a second call does nothing."""
        self._each(lambda logger: logger.finish(summary))
        self._others.clear()

    def fail(self, reason: str) -> None:
        """Say why the training failed, and close."""
        self._each(lambda logger: logger.fail(reason))
        self._others.clear()

    def __enter__(self) -> Loggers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish({})
        else:
            self.fail(str(error) or type(error).__name__)

    def _each(self, act: Callable[[Logger], None]) -> None:
        for name, logger in list(self._others.items()):
            try:
                act(logger)
            except Exception as error:
                del self._others[name]
                warnings.warn(
                    f"{name} could not be written to ({_brief(error)}): the training goes on without it, "
                    f"and {METRICS} gets every epoch",
                    LoggerWarning,
                    stacklevel=3,
                )


def open_loggers(
    names: Sequence[str], folder: Path, *, name: str, settings: Mapping[str, object], resumed: bool
) -> Loggers:
    """Open metrics.csv and the loggers called `names`, in the run folder under construction.

    Parameters
    ----------
    names : sequence of str
        Known are ``tensorboard``, ``wandb`` and ``mlflow``, and what other distributions add. A name that comes
        twice counts once.
    folder : path
        The run folder: everything that stays on this machine goes there.
    name : str
        What the run is called.
    settings : mapping
        What the training was told, logged as its hyper-parameters.
    resumed : bool
        Go on with what is in `folder`; `Loggers.rewind` must follow.

    Raises
    ------
    UsageError, MissingExtraError
        As `choose_loggers`.
    OutputError
        If a logger cannot be opened.
    SourceError
        If the metrics.csv of a training to resume is damaged.
    """
    openers = choose_loggers(names)
    table = MetricsTable(folder / METRICS, resumed=resumed)
    opening = Opening(folder, name, settings, table.last_epoch)
    opened = Loggers(table, others := {})
    for each, opener in openers.items():
        try:
            others[each] = opener(opening)
        except Exception as error:
            opened.fail("another logger could not be opened")
            if isinstance(error, RosettaError):
                raise
            raise OutputError(
                f"`log={each!r}` could not be opened ({_brief(error)}): mend that, or leave out `log={each!r}`"
            ) from error
    return opened


def _brief(error: Exception) -> str:
    """Return a library's message as one line of bounded length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}…"
