"""`rosetta validate`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .data import takes_source
from .errors import exit_on_error
from .options import AllowCode, AllowPickle, Features, Json, TrustedKeys, TrustFile
from .parameters import as_options
from .render import count_progress, plain

if TYPE_CHECKING:
    from rosetta.schemas.validation import ValidationReport, ValidationSummary


class ReportFormat(StrEnum):
    """The format of a report."""

    text = "text"
    json = "json"
    sarif = "sarif"
    junit = "junit"


@takes_source
def validate(
    bundles: Annotated[
        list[str], typer.Argument(metavar="B.h5…", help="Bundles; - reads paths from stdin, one per line.")
    ],
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings count as errors.")] = False,
    select: Annotated[
        list[str] | None, typer.Option(metavar="RZ-…", help="Report rules whose id begins with this; may be repeated.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="RZ-…", help="Ignore rules whose id begins with this; may be repeated.")
    ] = None,
    trusted_key: TrustedKeys = None,
    trust_file: TrustFile = None,
    model: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="The sender's model: compare the bundle with it.")
    ] = None,
    data: Annotated[str | None, typer.Option(metavar="DATA", help="The sender's items: likewise.")] = None,
    features: Features = None,
    allow_code: AllowCode = None,
    allow_pickle: AllowPickle = False,
    format: Annotated[ReportFormat, typer.Option(help="Format of the report.")] = ReportFormat.text,
    json: Json = False,
) -> None:
    """Check bundles: their form, their content and their safety.

    Exit code: 0 valid, 1 errors (or warnings with --strict), 2 unreadable, 3 unsupported version, 4 unsafe or not a
    bundle, 5 the process that read the file crashed or was stopped. For several files, the highest code. With --json,
    one file gives its report; several files or - give one document with all reports.
    """
    with exit_on_error():
        paths = _paths(bundles)
        from rosetta.verbs.validate import validate_many

        with count_progress("validating", len(paths)) as on_progress:
            summary = validate_many(
                paths, strict=strict, select=select or (), ignore=ignore or (), trusted_keys=trusted_key or (),
                trust_file=trust_file, model=model, data=data, features=features, allow_code=allow_code,
                allow_pickle=allow_pickle,
                on_progress=on_progress,
            )  # fmt: skip
        _render(summary, _format(format, json), is_list=bundles != paths or len(paths) > 1)
        raise typer.Exit(summary.exit_code)


def _format(chosen: ReportFormat, json: bool) -> ReportFormat:
    from rosetta.errors import UsageError

    if json and chosen is not ReportFormat.text:
        raise UsageError(f"--json and --format {chosen.value} name two formats: leave one out")
    return ReportFormat.json if json else chosen


def _paths(bundles: list[str]) -> list[str]:
    """Return the files' paths; those on stdin stand in lines, or with zero bytes between them."""
    from rosetta.errors import UsageError

    if "-" not in bundles:
        return bundles
    if sys.stdin is None:
        raise UsageError("- reads paths from stdin, which is closed")
    listed = sys.stdin.buffer.read().decode(errors="surrogateescape")
    names = listed.split("\0") if "\0" in listed else listed.splitlines()
    paths = [name for each in bundles for name in (names if each == "-" else [each]) if name]
    if not paths:
        raise UsageError("there are no paths on stdin")
    return paths


def _render(summary: ValidationSummary, format: ReportFormat, *, is_list: bool) -> None:
    if format is ReportFormat.sarif:
        from .sarif import sarif

        typer.echo(sarif(summary))
    elif format is ReportFormat.junit:
        from .junit import junit

        typer.echo(junit(summary))
    elif format is ReportFormat.json:
        document = summary if is_list else summary.reports[0]
        typer.echo(document.model_dump_json(indent=2))
    else:
        for report in summary.reports:
            _show(report, with_facts=not is_list)
        if is_list:
            n_valid = sum(report.valid for report in summary.reports)
            typer.echo(f"{n_valid} of {len(summary.reports)} files are valid")


def _show(report: ValidationReport, *, with_facts: bool) -> None:
    for each in report.findings:
        if each.severity == "info" and not with_facts:
            continue
        typer.echo(plain(f"{each.severity:<7} {each.rule} {each.location}: {as_options(each.message)}"))
        if each.severity != "info":
            typer.echo(f"        → {as_options(each.fix)} (spec {each.spec_section})")
    reasons = [skipped.reason for skipped in report.skipped]
    for reason in dict.fromkeys(reasons):
        rules = [skipped.rule for skipped in report.skipped if skipped.reason == reason]
        typer.echo(f"skipped {len(rules)} rule{'s' * (len(rules) != 1)} ({as_options(reason)}): {_some(rules)}")
    if report.left_out:
        typer.echo(f"found and not asked for: {_some(list(report.left_out))}")
    counts = ", ".join(
        f"{n} {name}{'s' if n != 1 else ''}"
        for name in ("fatal", "error", "warning")
        if (n := sum(each.severity == name for each in report.findings))
    )
    typer.echo(plain(f"{report.bundle}: {'valid' if report.valid else 'NOT VALID'} ({counts or 'nothing found'})"))


def _some(rules: list[str]) -> str:
    return ", ".join(rules) if len(rules) <= 6 else f"{rules[0]} … {rules[-1]}"
