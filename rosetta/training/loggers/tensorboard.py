"""TensorBoard: event files in the run's folder `tensorboard`, which `tensorboard --logdir` reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from rosetta.training.loggers import Logger, Opener, Opening, library, loggers


@loggers.register("tensorboard")
def tensorboard() -> Opener:
    """Import the writer that PyTorch brings; TensorBoard itself is an extra."""
    module = library("torch.utils.tensorboard", extra="tensorboard", package="tensorboard")

    def opener(opening: Opening) -> Logger:
        return TensorBoard(module.SummaryWriter, opening)

    return opener


@final
class TensorBoard:
    """One curve for each figure, over epochs; settings as text at once, and as hyper-parameters at the end."""

    def __init__(self, writer: Any, opening: Opening) -> None:
        self._make = writer
        self._folder = str(opening.folder / "tensorboard")
        self._settings = dict(opening.settings)
        self._step = opening.logged or 0
        self._writer = writer(self._folder)
        if opening.logged is None:
            rows = "\n".join(f"| {name} | {value} |" for name, value in self._settings.items())
            self._writer.add_text("settings", f"| setting | value |\n| --- | --- |\n{rows}", 0)
            self._writer.flush()

    def rewind(self, epoch: int) -> None:
        """Begin a file that tells readers to forget what is after `epoch` in those before it."""
        self._writer.close()
        self._step = epoch
        self._writer = self._make(self._folder, purge_step=epoch + 1)

    def log(self, row: Mapping[str, float], step: int) -> None:
        """Add one point to each curve."""
        for name, value in row.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()  # within an epoch, not within two minutes; and it raises what the writing thread met
        self._step = step

    def finish(self, summary: Mapping[str, float]) -> None:
        """Add the settings and final figures to the table of runs that can be compared."""
        known = {name: value for name, value in self._settings.items() if value is not None}
        plain = {n: value if isinstance(value, bool | int | float | str) else str(value) for n, value in known.items()}
        figures = {f"final/{name}": value for name, value in summary.items()}
        self._writer.add_hparams(plain, figures, run_name=".", global_step=self._step)
        self._writer.close()

    def fail(self, reason: str) -> None:
        """Add the reason as text."""
        self._writer.add_text("failure", reason, self._step)
        self._writer.close()
