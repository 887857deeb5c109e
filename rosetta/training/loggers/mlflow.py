"""MLflow: the server in the user's MLFLOW_TRACKING_URI, or else a database in the run's folder `mlflow`."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, final

from rosetta.errors import OutputError
from rosetta.files import read_small
from rosetta.training.loggers import Logger, Opener, Opening, library, loggers

LONGEST = 6000  # characters of a parameter that every server takes
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


@loggers.register("mlflow")
def mlflow() -> Opener:
    """Import mlflow without its reports of use, and what its databases need."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read on import
    module = library("mlflow", extra="mlflow", package="mlflow-skinny")
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        for package in ("sqlalchemy", "alembic"):
            library(package, extra="mlflow", package=package)

    def opener(opening: Opening) -> Logger:
        return MLflow(module, opening)

    return opener


@final
class MLflow:
    """One run, kept through its client: what the user's own script has open with MLflow stays as it is."""

    def __init__(self, module: Any, opening: Opening) -> None:
        place = opening.folder / "mlflow"
        place.mkdir(exist_ok=True)
        self._metric = module.entities.Metric
        with _quiet(), _few_retries():
            uri = os.environ.get("MLFLOW_TRACKING_URI") or _database_address(place)
            self._client = module.MlflowClient(tracking_uri=uri)
            self._run_id, self._logged = self._continued(module, place, opening) or (self._begun(opening), 0)
        (place / "run_id").write_text(self._run_id)

    def _begun(self, opening: Opening) -> str:
        """Start a run in the experiment that the user names, or in one called rosetta."""
        title = os.environ.get("MLFLOW_EXPERIMENT_NAME", "rosetta")
        known = self._client.get_experiment_by_name(title)
        experiment = self._client.create_experiment(title) if known is None else known.experiment_id
        run_id = str(self._client.create_run(experiment, run_name=opening.name).info.run_id)
        for name, value in opening.settings.items():
            self._client.log_param(run_id, name, str(value)[:LONGEST])
        return run_id

    def _continued(self, module: Any, place: Path, opening: Opening) -> tuple[str, int] | None:
        """Return the id and last epoch of the run that is to go on; None if the server has no such run."""
        if opening.logged is None:
            return None
        try:
            run_id = read_small(place / "run_id", limit=100, what="the id of an MLflow run").decode()
            self._client.update_run(run_id, status="RUNNING")
        except (FileNotFoundError, module.exceptions.MlflowException):
            return None
        return run_id, max((point.step for point in self._client.get_metric_history(run_id, "epoch")), default=0)

    def rewind(self, epoch: int) -> None:
        """Do nothing: a row that was sent stays, and `log` skips it when it comes again."""

    def log(self, row: Mapping[str, float], step: int) -> None:
        """Add a point to each metric, unless there is one of this epoch."""
        if step > self._logged:
            self._send(row, step)
            self._logged = step

    def finish(self, summary: Mapping[str, float]) -> None:
        """Write the final figures as metrics of their own."""
        self._send({f"final/{name}": value for name, value in summary.items()}, self._logged)
        self._close("FINISHED")

    def fail(self, reason: str) -> None:
        """Write the reason as a tag, and mark the run as failed."""
        self._client.set_tag(self._run_id, "failure", reason)
        self._close("FAILED")

    def _send(self, row: Mapping[str, float], step: int) -> None:
        now_ms = int(time.time() * 1000)
        points = [self._metric(name, float(value), now_ms, step) for name, value in row.items()]
        self._client.log_batch(self._run_id, metrics=points)

    def _close(self, status: str) -> None:
        self._client.set_terminated(self._run_id, status=status)
        with suppress(AttributeError):  # only a database has an engine, which would keep its file open
            self._client._tracking_client.store.engine.dispose()


def _database_address(place: Path) -> str:
    path = place.absolute() / "mlflow.db"
    if "?" in str(path) or "%" in str(path):  # means something else in an address, by version of the library
        raise OutputError(
            f"{path} has a question mark or percent sign, with which MLflow finds no database: choose another place, "
            "or set MLFLOW_TRACKING_URI"
        )
    return f"sqlite:///{path}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what MLflow and its database library say of themselves while a database is made."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _few_retries() -> Iterator[None]:
    """Give up soon on a server that does not answer: a mistyped address would otherwise cost minutes of silence."""
    if RETRIES in os.environ:
        yield
        return
    os.environ[RETRIES] = "1"
    try:
        yield
    finally:
        del os.environ[RETRIES]
