"""Whether an interrupted training is the one that is asked for now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rosetta.errors import IncompatibleError
from rosetta.runs.job import Job, fingerprint
from rosetta.schemas.run import TrainSettings
from rosetta.software import versions
from rosetta.training.checkpoint import load_plan, save_plan

NAMES = {
    "data": "the data",
    "bundles": "`anchors`",
    "start": "`start_from`",
    "processes": "processes",
    "device": "the device",
    "kind": "what is trained",  # one model or several: of all of them together
    "mode": "`replicate_mode`",
}


def document_of(job: Job, each: Sequence[TrainSettings], *, n_processes: int) -> dict[str, Any]:
    """Return what tells one training from another, as JSON holds it."""
    return {
        "data": fingerprint(job),
        "bundles": [bundle.content_id for bundle in job.bundles],
        "start": None if job.start is None else job.start.record.weights_sha256,
        "processes": n_processes,
        "device": job.device.type,
        "models": [settings.model_dump(mode="json") for settings in each],
        "software": versions("torch", "numpy"),
    }


def refuse_differences(found: Mapping[str, Any], mine: Mapping[str, Any], on_note: Callable[[str], None]) -> None:
    """Raise IncompatibleError if a saved state is that of another training, saying what differs."""
    differences = [
        f"{name}: {_brief(found.get(key))} then, {_brief(mine[key])} now"
        for key, name in NAMES.items()
        if key in mine and found.get(key) != mine[key]
    ]
    if len(found["models"]) != len(mine["models"]):
        differences.append(f"`replicates`: {len(found['models'])} then, {len(mine['models'])} now")
    for then, today in zip(found["models"], mine["models"], strict=False):
        differences += [
            f"`{name}`: {_brief(then.get(name))} then, {_brief(today[name])} now"
            for name in today
            if then.get(name) != today[name]
        ]
    if differences:
        listed = "\n  - ".join(dict.fromkeys(differences))
        raise IncompatibleError(
            f"the interrupted training was another one:\n  - {listed}\nGo on with what it was told, or start anew "
            "with `force`"
        )
    if found["software"] != mine["software"]:
        on_note("the training goes on with other versions of software, so that its numbers may differ a little")


def hold_to_plan(work: Path, document: Mapping[str, Any], *, resume: bool) -> None:
    """Write down what is trained in `work`; where a training goes on, refuse another one than was written down.

    The states that it leaves say the same of one model each; what has no state, or is done, is held to this.

    Raises
    ------
    IncompatibleError
        If it is another training, saying what differs.
    """
    plan = load_plan(work) if resume else None
    if plan is None:
        save_plan(work, {"training": document})
    else:
        refuse_differences(plan["training"], document, lambda note: None)  # the states note other software


def remember(work: Path, name: str, value: Any) -> None:
    """Write down a choice that a training which goes on must not make anew."""
    save_plan(work, (load_plan(work) or {}) | {name: value})


def recall(work: Path, name: str) -> Any:
    """Return a choice that was written down, or None if it was not made."""
    return (load_plan(work) or {}).get(name)


def _brief(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_brief, value)) or "none"
    text = "none" if value is None else str(value)
    return f"{text[:12]}…" if len(text) == 64 else text  # a digest
