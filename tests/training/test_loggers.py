"""Every logger writes with its real library, and what it wrote is read back from the files."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from rosetta.errors import MissingExtraError, OutputError, SourceError, UsageError
from rosetta.training.loggers import Loggers, LoggerWarning, open_loggers
from rosetta.training.loggers.csv import read_metrics

SETTINGS = {"lr": 1e-3, "hidden": (64, 32), "likelihood": "gaussian", "clip": None, "align": False}
PACKAGES = {"tensorboard": ("tensorboard",), "wandb": ("wandb",), "mlflow": ("mlflow", "sqlalchemy", "alembic")}
SUMMARY = {"elbo": -31.5, "kl": 7.25}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Leave out the user's own settings and places."""
    for name in [name for name in os.environ if name.startswith(("WANDB_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")  # where a test before this one has imported mlflow
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))


def a_row(epoch: int, **others: float | int | None) -> dict[str, float | int | None]:
    return {"epoch": epoch, "elbo": -100.0 / epoch - 0.1, "active_units": 3, "anchor_rms": None, **others}


def opened(names: list[str], folder: Path, *, resumed: bool = False) -> Loggers:
    for package in {package for name in names for package in PACKAGES.get(name, ())}:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    return open_loggers(names, folder, name="bob", settings=SETTINGS, resumed=resumed)


def train_for(names: list[str], folder: Path, *, epochs: range) -> None:
    """Log epochs as a training does: one that does not begin at 1 is resumed from the epoch before."""
    with opened(names, folder, resumed=epochs[0] > 1) as loggers:
        if epochs[0] > 1:
            loggers.rewind(epochs[0] - 1)
        for epoch in epochs:
            loggers.log(a_row(epoch), epoch)
        loggers.finish(SUMMARY)


def events_of(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder / "tensorboard")).Reload()


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in events_of(folder).Scalars(tag)]


def wandb_records(folder: Path) -> list[Any]:
    """Read what offline runs keep, once the service that writes it has come to the end of each."""
    paths = sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))
    for _ in range(500):  # it is told that a run is done, and not waited for
        records = [record for path in paths for record in _unpacked(path.read_bytes())]
        if sum(record.HasField("exit") for record in records) == len(paths):
            return records
        time.sleep(0.01)
    raise AssertionError(f"wandb did not finish {paths}")


def _unpacked(data: bytes) -> Iterator[Any]:
    """Take protocol buffers out of LevelDB's log format, of a size below one block."""
    from wandb.proto.wandb_internal_pb2 import Record

    assert len(data) < 32_768
    start = 7
    while start < len(data):
        _, length, kind = struct.unpack_from("<IHB", data, start)
        assert kind == 1  # whole
        yield Record.FromString(data[start + 7 : start + 7 + length])
        start += 7 + length


def wandb_history(folder: Path) -> list[dict[str, Any]]:
    records = [record.history for record in wandb_records(folder) if record.HasField("history")]
    return [{"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in history.item} for history in records]


def mlflow_client(folder: Path) -> Any:
    from mlflow import MlflowClient

    database = folder / "mlflow" / "mlflow.db"
    assert database.stat().st_size
    return MlflowClient(f"sqlite:///{database}")


def mlflow_run(folder: Path) -> tuple[Any, Any]:
    client = mlflow_client(folder)
    [run] = client.search_runs([client.get_experiment_by_name("rosetta").experiment_id])
    return client, run


def test_metrics_csv_holds_every_row_as_soon_as_it_is_logged(tmp_path: Path):
    loggers = opened([], tmp_path)

    for epoch in (1, 2, 3):
        loggers.log(a_row(epoch), epoch)

        assert read_metrics(tmp_path / "metrics.csv") == [a_row(each) for each in range(1, epoch + 1)]
    assert (tmp_path / "metrics.csv").read_text().splitlines()[:2] == [
        "epoch,elbo,active_units,anchor_rms",
        "1,-100.1,3,",
    ]


def test_a_resumed_metrics_csv_is_cut_back_to_the_epoch_and_goes_on(tmp_path: Path):
    train_for([], tmp_path, epochs=range(1, 6))
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("6,-1")  # where a crash cut it off

    train_for([], tmp_path, epochs=range(4, 8))

    assert read_metrics(tmp_path / "metrics.csv") == [a_row(epoch) for epoch in range(1, 8)]


def test_a_column_that_comes_later_is_empty_in_the_rows_before(tmp_path: Path):
    with opened([], tmp_path) as loggers:
        loggers.log(a_row(1), 1)
        loggers.log(a_row(2, beta=0.5), 2)

    assert [row["beta"] for row in read_metrics(tmp_path / "metrics.csv")] == [None, 0.5]


def test_figures_that_are_not_finite_come_back_as_they_are(tmp_path: Path):
    with opened([], tmp_path) as loggers:
        loggers.log(a_row(1, kl=float("inf"), lr=float("nan")), 1)

    [row] = read_metrics(tmp_path / "metrics.csv")
    assert row["kl"] == float("inf")
    assert str(row["lr"]) == "nan"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"loss,elbo\n1,2\n", "an epoch"),
        (b"epoch,epoch\n1,2\n", "each once"),
        (b"epoch,elbo\n1,2,3\n", "line 2: 3 fields"),
        (b"epoch,elbo\n1,-3\n2,much\n", "line 3: .*'much'"),
        (b"epoch,elbo\n1.5,2\n", "whole number"),
        (b"epoch\n\xff\n", "UTF-8"),
        (None, "there is no file"),
    ],
)
def test_a_damaged_metrics_csv_is_refused_with_its_place(tmp_path: Path, content: bytes | None, says: str):
    if content is not None:
        (tmp_path / "metrics.csv").write_bytes(content)

    with pytest.raises(SourceError, match=says):
        read_metrics(tmp_path / "metrics.csv")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_under_metrics_csv_ends_the_training(tmp_path: Path):
    loggers = opened([], tmp_path)
    loggers.log(a_row(1), 1)
    (tmp_path / "metrics.csv").unlink()
    (tmp_path / "metrics.csv").symlink_to("/dev/full")

    with pytest.raises(OutputError, match="free some space"):
        loggers.log(a_row(2), 2)


def test_an_unknown_logger_is_named_with_the_nearest(tmp_path: Path):
    with pytest.raises(UsageError, match="Did you mean 'tensorboard'"):
        opened(["tensorbord"], tmp_path)


@pytest.mark.parametrize(
    ("name", "module"),
    [("tensorboard", "tensorboard"), ("wandb", "wandb"), ("mlflow", "mlflow"), ("mlflow", "alembic")],
)
def test_a_library_that_is_not_installed_is_named_before_anything_is_written(
    name: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for loaded in [each for each in sys.modules if each.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(MissingExtraError, match=rf"pip install 'rosetta-points\[{name}\]'"):
        open_loggers([name], tmp_path, name="bob", settings=SETTINGS, resumed=False)

    assert not list(tmp_path.iterdir())


def test_a_row_reaches_loggers_without_loading_a_library_that_was_not_chosen(tmp_path: Path):
    import subprocess

    code = (
        "import sys; from pathlib import Path; from rosetta.training.loggers import open_loggers\n"
        f"open_loggers([], Path({str(tmp_path)!r}), name='', settings={{}}, resumed=False).log({{'epoch': 1}}, 1)\n"
        "sys.exit(str([m for m in ('torch', 'wandb', 'mlflow', 'tensorboard') if m in sys.modules] or ''))"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert result.stderr.strip() == ""
    assert read_metrics(tmp_path / "metrics.csv") == [{"epoch": 1}]


def test_tensorboard_reads_back_every_row_the_settings_and_the_final_figures(tmp_path: Path):
    train_for(["tensorboard", "tensorboard"], tmp_path, epochs=range(1, 4))

    assert scalars(tmp_path, "elbo") == [(e, pytest.approx(a_row(e)["elbo"])) for e in (1, 2, 3)]
    assert scalars(tmp_path, "final/kl") == [(3, 7.25)]
    events = events_of(tmp_path)
    assert "anchor_rms" not in events.Tags()["scalars"]
    assert b"(64, 32)" in events.Tensors("settings/text_summary")[0].tensor_proto.string_val[0]
    begun = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"hidden" in begun
    assert b"clip" not in begun  # None is no value that can be compared


def test_tensorboard_forgets_the_epochs_that_a_resumed_training_repeats(tmp_path: Path):
    train_for(["tensorboard"], tmp_path, epochs=range(1, 6))

    train_for(["tensorboard"], tmp_path, epochs=range(4, 8))

    assert [step for step, _ in scalars(tmp_path, "elbo")] == [1, 2, 3, 4, 5, 6, 7]


def test_wandb_keeps_every_row_offline_and_tells_nothing_of_the_machine(tmp_path: Path):
    train_for(["wandb"], tmp_path, epochs=range(1, 4))

    rows = wandb_history(tmp_path)
    assert [(row["_step"], row["epoch"], row["elbo"]) for row in rows] == [(e, e, a_row(e)["elbo"]) for e in (1, 2, 3)]
    assert "anchor_rms" not in rows[0]
    records = wandb_records(tmp_path)
    [run] = [record.run for record in records if record.HasField("run")]
    told = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (run.display_name, run.project, told["hidden"], told["clip"]) == ("bob", "rosetta", [64, 32], None)
    assert not run.host
    assert not run.git.remote_url
    final = {i.nested_key[0] if i.nested_key else i.key for r in records for i in r.summary.update}
    assert {"final/elbo", "final/kl"} <= final
    assert not list(tmp_path.glob("wandb/*/files/*"))


def test_wandb_goes_on_under_the_same_id_and_keeps_each_epoch_once(tmp_path: Path):
    train_for(["wandb"], tmp_path, epochs=range(1, 6))

    train_for(["wandb"], tmp_path, epochs=range(4, 8))

    assert [row["epoch"] for row in wandb_history(tmp_path)] == [1, 2, 3, 4, 5, 6, 7]
    assert len({record.run.run_id for record in wandb_records(tmp_path) if record.HasField("run")}) == 1


def test_mlflow_reads_back_every_row_the_settings_and_the_final_figures(tmp_path: Path):
    tmp_path = tmp_path / "run #2; ä & co"  # it goes into an address
    tmp_path.mkdir()
    train_for(["mlflow"], tmp_path, epochs=range(1, 4))

    client, run = mlflow_run(tmp_path)
    points = client.get_metric_history(run.info.run_id, "elbo")
    assert [(point.step, point.value) for point in points] == [(e, a_row(e)["elbo"]) for e in (1, 2, 3)]
    assert (run.info.run_name, run.info.status) == ("bob", "FINISHED")
    assert (run.data.params["hidden"], run.data.params["lr"]) == ("(64, 32)", "0.001")
    assert run.data.metrics["final/kl"] == 7.25
    assert "anchor_rms" not in run.data.metrics


def test_mlflow_goes_on_with_its_run_and_keeps_each_epoch_once(tmp_path: Path):
    train_for(["mlflow"], tmp_path, epochs=range(1, 6))

    with opened(["mlflow"], tmp_path, resumed=True) as loggers:
        loggers.rewind(3)
        assert mlflow_run(tmp_path)[1].info.status == "RUNNING"
        for epoch in range(4, 8):
            loggers.log(a_row(epoch), epoch)

    client, run = mlflow_run(tmp_path)  # there is one
    assert [p.step for p in client.get_metric_history(run.info.run_id, "elbo")] == [1, 2, 3, 4, 5, 6, 7]
    assert run.info.status == "FINISHED"


def test_a_training_that_fails_is_told_to_every_logger(tmp_path: Path):
    def fail() -> None:
        with opened(["tensorboard", "wandb", "mlflow"], tmp_path) as loggers:
            loggers.log(a_row(1), 1)
            raise ZeroDivisionError("division by zero")

    with pytest.raises(ZeroDivisionError):
        fail()

    _, run = mlflow_run(tmp_path)
    assert (run.info.status, run.data.tags["failure"]) == ("FAILED", "division by zero")
    events = events_of(tmp_path)
    assert events.Tensors("failure/text_summary")[0].tensor_proto.string_val == [b"division by zero"]
    assert [record.exit.exit_code for record in wandb_records(tmp_path) if record.HasField("exit")] == [1]


def test_a_logger_that_fails_warns_once_and_the_others_go_on(tmp_path: Path):
    with opened(["mlflow", "tensorboard"], tmp_path) as loggers:
        loggers.log(a_row(1), 1)
        with sqlite3.connect(tmp_path / "mlflow" / "mlflow.db") as database:
            database.execute("DROP TABLE metrics")
        database.close()

        with pytest.warns(LoggerWarning, match="mlflow could not be written to .*no such table"):
            loggers.log(a_row(2), 2)
        loggers.log(a_row(3), 3)  # a second warning would be an error
        loggers.finish(SUMMARY)

    assert [row["epoch"] for row in read_metrics(tmp_path / "metrics.csv")] == [1, 2, 3]
    assert [step for step, _ in scalars(tmp_path, "elbo")] == [1, 2, 3]


def test_a_logger_that_cannot_be_opened_stops_the_training_before_it_starts(tmp_path: Path):
    (tmp_path / "tensorboard").write_text("in the way")

    with pytest.raises(OutputError, match="`log='tensorboard'` could not be opened .*leave out `log='tensorboard'`"):
        opened(["wandb", "tensorboard"], tmp_path)

    assert [record.exit.exit_code for record in wandb_records(tmp_path) if record.HasField("exit")] == [1]


def test_a_server_that_does_not_answer_is_named_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    before = dict(os.environ)

    with pytest.raises(OutputError, match="`log='mlflow'` could not be opened"):
        opened(["mlflow"], tmp_path)

    assert dict(os.environ) == before


@pytest.mark.parametrize("name", ["what?", "50%20"])
def test_a_folder_that_fits_in_no_address_is_refused_by_mlflow(tmp_path: Path, name: str):
    (tmp_path / name).mkdir()

    with pytest.raises(OutputError, match="has a question mark or percent sign"):
        opened(["mlflow"], tmp_path / name)
