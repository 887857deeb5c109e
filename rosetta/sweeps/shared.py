"""A sweep that several processes share: who trains which model is kept in a database, by Optuna.

Each model is a trial. A process takes waiting ones, gives a sign of life while it trains them, and tells what became
of them; one whose process has given no sign for too long is put back.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rosetta.errors import IncompatibleError
from rosetta.sweeps.storages import connected, shown, storage_errors

if TYPE_CHECKING:
    import optuna
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

DOCUMENT, MODEL, OUTCOME = "rosetta", "model", "outcome"  # attributes of the study, and of its trials
JOINING_S = 20.0  # how long for the process that writes the models down


@dataclass(frozen=True)
class ClaimedRun:
    """A model that this process is to train."""

    trial: int
    model: int  # its number among all models


@dataclass(frozen=True)
class Study:
    """The models of a sweep in a storage, and what became of them."""

    storage: RDBStorage
    study: optuna.Study
    id: int
    is_new: bool
    points: Sequence[Mapping[str, float | int | str]]  # of each model: what it differs in
    beat_s: float

    def take(self, most: int) -> list[ClaimedRun]:
        """Return models that were waiting, now this process's; put back before what others have left."""
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna calls its heartbeat an experiment
            optuna.storages.fail_stale_trials(self.study)
        self.fill()
        taken: list[ClaimedRun] = []
        for model, trial in sorted(self._trials().items()):
            if trial.state == optuna.trial.TrialState.WAITING and len(taken) < most:
                self.storage.record_heartbeat(trial._trial_id)  # before it is taken: one without is never stale
                with suppress(RuntimeError):  # another process has finished it
                    if self.storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.RUNNING):
                        taken.append(ClaimedRun(trial._trial_id, model))
        return taken

    @contextmanager
    def alive(self, taken: Sequence[ClaimedRun]) -> Iterator[None]:
        """Give signs of life within the block; if it fails, others may take the models at once."""
        ends = threading.Event()

        def beat() -> None:
            while not ends.wait(self.beat_s):
                for each in taken:
                    with suppress(*storage_errors()):  # the next sign may get through
                        self.storage.record_heartbeat(each.trial)
            self.storage.remove_session()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            self._put_back(taken)
            raise
        finally:
            ends.set()
            thread.join()

    def tell(self, taken: ClaimedRun, outcome: Mapping[str, Any], score: float | None) -> None:
        """Write down what became of a model; no score for one that diverged."""
        import optuna

        states = optuna.trial.TrialState
        with suppress(RuntimeError):  # it was thought dead, and another process has told the same
            self.storage.set_trial_user_attr(taken.trial, OUTCOME, dict(outcome))
            if score is None:
                self.storage.set_trial_state_values(taken.trial, states.PRUNED)
            else:
                self.storage.set_trial_state_values(taken.trial, states.COMPLETE, [score])

    def outcomes(self) -> dict[int, dict[str, Any]]:
        """Return what became of each model that is done, by its number."""
        return {
            model: trial.user_attrs[OUTCOME]
            for model, trial in sorted(self._trials().items())
            if trial.state.is_finished()
        }

    def fill(self) -> None:
        """Write down the models that are waiting, taken or done nowhere."""
        import optuna

        trials = self._trials()
        for model, values in enumerate(self.points):
            if model not in trials:
                trial = optuna.trial.create_trial(
                    state=optuna.trial.TrialState.WAITING,
                    params=dict(values),
                    distributions={name: self._distribution(name) for name in values},
                    user_attrs={MODEL: model},
                )
                self.storage.create_new_trial(self.id, template_trial=trial)

    def _distribution(self, name: str) -> optuna.distributions.BaseDistribution:
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(list(dict.fromkeys(point[name] for point in self.points)))

    def _trials(self) -> dict[int, FrozenTrial]:
        """Return the trial of each model that counts: the one that is done, else the oldest that did not fail."""
        import optuna

        found: dict[int, FrozenTrial] = {}
        for trial in self.storage.get_all_trials(self.id, deepcopy=False):
            model = trial.user_attrs.get(MODEL)
            if model is None or trial.state == optuna.trial.TrialState.FAIL:
                continue
            if model not in found or (trial.state.is_finished() and not found[model].state.is_finished()):
                found[model] = trial
        return found

    def _put_back(self, taken: Sequence[ClaimedRun]) -> None:
        import optuna

        with suppress(*storage_errors()):
            for each in taken:
                with suppress(RuntimeError):  # what is told already stays
                    self.storage.set_trial_state_values(each.trial, optuna.trial.TrialState.FAIL)
            self.fill()


@contextmanager
def open_study(
    url: str,
    name: str,
    document: Mapping[str, Any],
    points: Sequence[Mapping[str, float | int | str]],
    *,
    higher_is_better: bool,
    stale_s: int,
    on_note: Callable[[str], None],
) -> Iterator[Study]:
    """Yield the study of this sweep, made if there is none.

    Parameters
    ----------
    url : str
        A database as SQLAlchemy names it: ``sqlite:///file.db``, ``postgresql://user:password@host/name``.
    document : mapping
        What tells one sweep from another, as JSON holds it; all processes must bring the same.
    points : sequence of mapping
        For each model, the settings that it has of its own.
    stale_s : int
        Seconds without a sign of life after which a process is taken for dead.

    Raises
    ------
    MissingExtraError
        If Optuna is not installed.
    UsageError
        If `url` is none, or needs a driver that is not installed.
    IncompatibleError
        If the study is that of another sweep, saying what differs.
    OutputError
        If the storage cannot be reached.
    """
    with connected(url, stale_s) as storage:
        is_new, number = _find_or_make(storage, name, higher_is_better=higher_is_better)
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = optuna.load_study(study_name=name, storage=storage)
        found = Study(storage, study, number, is_new, points, max(1, stale_s // 3))
        _agree(found, name, shown(url), document, on_note)
        if not is_new:
            _wait_for_models(found)
        found.fill()
        yield found


def _find_or_make(storage: RDBStorage, name: str, *, higher_is_better: bool) -> tuple[bool, int]:
    import optuna

    directions = optuna.study.StudyDirection
    try:
        return True, storage.create_new_study([directions.MAXIMIZE if higher_is_better else directions.MINIMIZE], name)
    except optuna.exceptions.DuplicatedStudyError:
        return False, storage.get_study_id_from_name(name)


def _agree(found: Study, name: str, where: str, document: Mapping[str, Any], on_note: Callable[[str], None]) -> None:
    """Write down what the study is of, or hold this command against what is written there."""
    deadline = time.monotonic() + JOINING_S
    theirs = None
    while not found.is_new and theirs is None and time.monotonic() < deadline:
        theirs = found.storage.get_study_user_attrs(found.id).get(DOCUMENT)
        if theirs is None and found.storage.get_n_trials(found.id):
            raise IncompatibleError(f"the study {name} in {where} is no sweep of Rosetta's: choose another `study`")
        time.sleep(0 if theirs else 0.2)
    if theirs is None:  # it is new, or who made it died at once
        found.storage.set_study_user_attr(found.id, DOCUMENT, dict(document))
        return
    differences = [
        f"{key}: {_brief(theirs.get(key))} there, {_brief(document.get(key))} here"
        for key in sorted(theirs.keys() | document.keys())
        if key != "software" and theirs.get(key) != document.get(key)
    ]
    if differences:
        raise IncompatibleError(
            f"the study {name} in {where} is another sweep:\n  - " + "\n  - ".join(differences) + "\nGive the same "
            "options to every process, or choose another `study`"
        )
    if theirs.get("software") != document["software"]:
        on_note("other processes of this sweep have other versions of software, so that numbers may differ a little")


def _wait_for_models(found: Study) -> None:
    """Wait while another process writes the models down; if it is gone, `fill` does."""
    n_before, deadline = -1, 0.0
    while (n_now := found.storage.get_n_trials(found.id)) < len(found.points):
        if n_now > n_before:
            n_before, deadline = n_now, time.monotonic() + JOINING_S
        if time.monotonic() > deadline:
            return
        time.sleep(0.2)


def _brief(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
