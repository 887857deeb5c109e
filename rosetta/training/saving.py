"""When the state of a training is saved, and what makes it stop early."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rosetta.errors import OutputError
from rosetta.training.loop import Training


class Interrupted(KeyboardInterrupt):
    """A training that was asked to end, and did so between two steps; `exit_code` is the shell's for the signal."""

    def __init__(self, number: int | None, message: str = "") -> None:
        super().__init__(*([message] if message else []))
        self.exit_code = 128 + (number or signal.SIGINT)


class Interruption:
    """Whether Ctrl-C was pressed, or the system asked the process to end (SIGTERM, as a scheduler sends it)."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal; the second one ends at once."""
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Yield what knows of signals; a training can then end between two steps, with its state saved.

    A signal that came too late to end the training is delivered anew afterwards.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.signal(number, interruption) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: it was not Python's
    if interruption.signal is not None:
        signal.raise_signal(interruption.signal)


class SavePlan:
    """Saves the state every so many epochs or minutes; a disk that is full does not end the training.

    Parameters
    ----------
    save : callable
        Writes a training's state.
    epochs, minutes : optional
        How often; never where both are None.
    """

    def __init__(
        self,
        save: Callable[[Training], None],
        *,
        epochs: int | None,
        minutes: float | None,
        interruption: Interruption,
        on_note: Callable[[str], None],
    ) -> None:
        self._save, self._epochs, self._minutes = save, epochs, minutes
        self._interruption, self._on_note = interruption, on_note
        self._kept_at = time.monotonic()
        self._has_failed = False

    @property
    def must_stop(self) -> bool:
        """Whether the user or the system asked for an end."""
        return self._interruption.signal is not None

    def is_due(self, epoch: int, *, ends: bool) -> bool:
        """Whether to save now."""
        if self._epochs is not None and ends and epoch % self._epochs == 0:
            return True
        return self._minutes is not None and time.monotonic() - self._kept_at >= 60 * self._minutes

    def keep(self, training: Training) -> None:
        """Save the state, or note once that it cannot be.

        Raises
        ------
        OutputError
            If it cannot be saved and the training is about to end.
        """
        self._kept_at = time.monotonic()
        if self._epochs is None and self._minutes is None:
            return
        try:
            self._save(training)
            self._has_failed = False
        except OutputError as error:
            if self.must_stop:
                raise
            if not self._has_failed:
                self._on_note(f"the state after epoch {training.epoch - 1} was not saved, training goes on: {error}")
            self._has_failed = True
