"""Check bundles' form, meaning and danger: one engine for the library and the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rosetta.bundle.signature.trust import Trust
from rosetta.errors import UsageError
from rosetta.files import Paths
from rosetta.rules import catalogue
from rosetta.rules.engine import Evidence
from rosetta.schemas.validation import ValidationReport, ValidationSummary
from rosetta.validation.opening import INVALID, VALID, VERSION_RULE, report_on
from rosetta.validation.signers import trust_if_any

if TYPE_CHECKING:
    from rosetta.inputs.matching import Features


def validate(
    path: str | PathLike[str],
    *,
    strict: bool = False,
    select: str | Sequence[str] = (),
    ignore: str | Sequence[str] = (),
    trusted_keys: Paths = (),
    trust_file: str | PathLike[str] | None = None,
    model: str | PathLike[str] | None = None,
    data: Any = None,
    features: Features = None,
    allow_code: str | None = None,
    allow_pickle: bool = False,
) -> ValidationReport:
    """Return every problem of the file at `path`; whatever stands there gets a report.

    Parameters
    ----------
    strict : bool
        Let warnings make a bundle invalid, as errors do.
    select, ignore : str or sequences of str
        Beginnings of rule ids, such as ``RZ-W`` or ``RZ-W203``: report only these rules, and not those.
        Fatal rules are always reported.
    trusted_keys, trust_file : optional
        As in `rosetta.verify`: where one is given, the bundle must be signed by one of these keys.
    model, data, features : optional
        The sender's own model and data, as `rosetta.distill` takes them: hold the bundle against them as well.
    allow_code : str, optional
        The ``package.module:factory`` that may be imported, for a run whose network is somebody's own.
    allow_pickle : bool
        Read a model that is a pickle, which can run code.

    Raises
    ------
    UsageError
        For a beginning that no rule has, or one of fatal rules in `ignore`.
    SandboxError
        If this system cannot start the process that looks at bundles.
    """
    (report,) = validate_many(
        [path], strict=strict, select=select, ignore=ignore, trusted_keys=trusted_keys, trust_file=trust_file,
        model=model, data=data, features=features, allow_code=allow_code,
        allow_pickle=allow_pickle,
    ).reports  # fmt: skip
    return report


def _validate(
    path: Path, chosen: frozenset[str], trust: Trust | None, evidence: Evidence | None, *, strict: bool
) -> ValidationReport:
    return _judged(report_on(path, trust, evidence), chosen, strict=strict)


def validate_many(
    paths: Iterable[str | PathLike[str]],
    *,
    strict: bool = False,
    select: str | Sequence[str] = (),
    ignore: str | Sequence[str] = (),
    trusted_keys: Paths = (),
    trust_file: str | PathLike[str] | None = None,
    model: str | PathLike[str] | None = None,
    data: Any = None,
    features: Features = None,
    allow_code: str | None = None,
    allow_pickle: bool = False,
    on_progress: Callable[[int], None] = lambda done: None,
) -> ValidationSummary:
    """Return the reports of several files, and the highest of their exit codes."""
    chosen, trust = _chosen(select, ignore), trust_if_any(trusted_keys, trust_file)
    evidence = _evidence(model, data, features, allow_code, allow_pickle)
    reports = []
    for number, path in enumerate(paths, start=1):
        reports.append(_validate(Path(path), chosen, trust, evidence, strict=strict))
        on_progress(number)
    exit_code = max((report.exit_code for report in reports), default=VALID)
    return ValidationSummary(valid=all(report.valid for report in reports), exit_code=exit_code, reports=tuple(reports))


def _evidence(
    model: str | PathLike[str] | None, data: Any, features: Features, allow_code: str | None, allow_pickle: bool
) -> Evidence | None:
    if features is not None and data is None:
        raise UsageError("`features` without `data` has no effect: leave it out")
    if allow_code is not None and model is None:
        raise UsageError("`allow_code` without `model` has no effect: leave it out")
    if allow_pickle and model is None:
        raise UsageError("`allow_pickle` without `model` has no effect: leave it out")
    if model is None and data is None:
        return None
    from rosetta.validation.sender_checks import evidence_of

    return evidence_of(model, data, features=features, allow_code=allow_code, allow_pickle=allow_pickle)


def _judged(report: ValidationReport, chosen: frozenset[str], *, strict: bool) -> ValidationReport:
    """Return the report on the chosen rules, with its verdict, which no choice can better."""
    kept = tuple(f for f in report.findings if f.rule in chosen)
    wrong = {"fatal", "error", "warning"} if strict else {"fatal", "error"}
    exit_code = report.exit_code or (INVALID if any(f.severity in wrong for f in kept) else VALID)
    return report.model_copy(
        update={
            "valid": not any(f.severity in wrong for f in report.findings),
            "strict": strict,
            "exit_code": exit_code,
            "findings": kept,
            "left_out": tuple(sorted({f.rule for f in report.findings} - chosen)),
        }
    )


def _beginnings(given: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(each.upper() for each in ([given] if isinstance(given, str) else given))


def _chosen(select: str | Sequence[str], ignore: str | Sequence[str]) -> frozenset[str]:
    """Return the ids of the rules to report."""
    select, ignore = _beginnings(select), _beginnings(ignore)
    severities = {rule.id: rule.severity for rule in catalogue()}
    for beginning in (*select, *ignore):
        if not any(id.startswith(beginning) for id in severities):
            raise UsageError(f"no rule's id begins with {beginning!r}; see: rosetta rules")
    always = {id for id, severity in severities.items() if severity == "fatal"} | {VERSION_RULE}
    for beginning in ignore:
        if silenced := sorted(id for id in always if id.startswith(beginning)):
            raise UsageError(f"{beginning!r} would silence {silenced[0]}: what stops the reading is always reported")
    wanted = {id for id in severities if not select or id.startswith(tuple(select))}
    return frozenset(always | {id for id in wanted if not id.startswith(tuple(ignore))})
