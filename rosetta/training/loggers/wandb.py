"""Weights & Biases, online or offline as the user's WANDB_MODE says; files in the run's folder `wandb`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from rosetta.training.loggers import Logger, Opener, Opening, library, loggers

UPLOAD_LIMIT_S = 120.0  # a run that is done does not wait for a network that is gone


@loggers.register("wandb")
def wandb() -> Opener:
    """Import wandb, without reports of its own errors unless the user asks for them."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read on import
    module = library("wandb", extra="wandb", package="wandb")

    def opener(opening: Opening) -> Logger:
        return WeightsAndBiases(module, opening)

    return opener


@final
class WeightsAndBiases:
    """One run. It is told settings and figures, and nothing about the machine, the code or the packages."""

    def __init__(self, module: Any, opening: Opening) -> None:
        earlier = _earlier_run(opening.folder) if opening.logged is not None else None
        online = os.environ.get("WANDB_MODE", "online") in ("online", "run", "shared")
        self._logged = (opening.logged or 0) if earlier else 0
        self._run = module.init(
            project=os.environ.get("WANDB_PROJECT", "rosetta"),
            name=opening.name,
            dir=str(opening.folder),
            config=dict(opening.settings),
            id=earlier,
            resume="allow" if earlier and online else None,  # offline, a second piece under the same id
            reinit="create_new",  # a run that the user has open stays theirs
            settings=module.Settings(**_discretion(), **({} if online else {"silent": True})),
        )
        self._run.define_metric("*", step_metric="epoch")

    def rewind(self, epoch: int) -> None:
        """Do nothing: a row that was sent stays, and `log` skips it when it comes again."""

    def log(self, row: Mapping[str, float], step: int) -> None:
        """Add a row, unless there is one of this epoch."""
        if step > self._logged:
            self._run.log(dict(row), step=step)
            self._logged = step

    def finish(self, summary: Mapping[str, float]) -> None:
        """Write the final figures to the run's summary."""
        self._run.summary.update({f"final/{name}": value for name, value in summary.items()})
        self._run.finish()

    def fail(self, reason: str) -> None:
        """Write the reason to the run's summary, and mark it as failed."""
        self._run.summary.update({"failure": reason})
        self._run.finish(exit_code=1)


def _discretion() -> dict[str, Any]:
    """Return the settings under which it collects nothing by itself, captures no output and makes no links."""
    return {
        "console": "off", "disable_code": True, "disable_git": True, "x_disable_machine_info": True,
        "x_disable_meta": True, "x_disable_stats": True, "x_save_requirements": False, "host": "", "symlink": False,
        "finish_timeout": UPLOAD_LIMIT_S,
    }  # fmt: skip


def _earlier_run(folder: Path) -> str | None:
    """Return the id with which wandb named its latest folder in a run folder, if there is one."""
    names = sorted(place.name.removeprefix("offline-") for place in folder.glob("wandb/*run-*-*"))
    return names[-1].rpartition("-")[2] if names else None
