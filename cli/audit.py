"""`rosetta audit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .data import takes_source
from .errors import exit_on_error
from .options import DATA_HELP, AllowCode, AllowPickle, BundlePath, Features, Force, Groups, Json, Memory, Seed
from .parameters import as_options
from .render import emit, note, plain, row_progress, table
from .shadows import SHADOWS, shadows_of, show_shadows, tell_shadow

if TYPE_CHECKING:
    from rosetta.schemas.audit import AuditReport, DisclosureAudit


@takes_source
def audit(
    bundle: BundlePath,
    data: Annotated[
        str, typer.Option(metavar="PRIVATE", help=f"All private items that the bundle was made from. {DATA_HELP}")
    ],
    model: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="The bundle's model: adds attacks that use it, and the ceiling."),
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Like items, unseen by model and bundle; with fewer than 20, generated points are not judged.",
        ),
    ] = None,
    held_out_groups: Annotated[
        str | None,
        typer.Option(metavar="COLUMN|DATA", help="--groups for --held-out; by default, its column of the same name."),
    ] = None,
    earlier: Annotated[
        list[Path] | None,
        typer.Option(metavar="EARLIER.h5", help="An earlier bundle of the space, to compare with; may be repeated."),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(metavar="policy.toml", help="Rules for release: exit code 1 if the bundle breaks one."),
    ] = None,
    groups: Groups = None,
    page: Annotated[
        Path | None,
        typer.Option(metavar="audit.html", help="A page for the data steward; for images, it shows private items."),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="closest.png", help="The closest pairs of points and private items, for images."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="tre.json", help="A report for the output checkers of a trusted research environment."),
    ] = None,
    thorough: Annotated[
        bool,
        typer.Option(
            "--thorough",
            help="Calibrate attacks with shadow senders, each trained and distilled on other items; slow.",
            rich_help_panel=SHADOWS,
        ),
    ] = False,
    shadows: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Number of shadow senders for --thorough.", show_default="16", rich_help_panel=SHADOWS
        ),
    ] = None,
    shadow_folder: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Keep finished shadow senders, and resume from them.", rich_help_panel=SHADOWS
        ),
    ] = None,
    canaries: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Plant a mark in N items of a copy of the data, and one in a single item; test whether points of a "
            "sender trained on the copy show them.",
            rich_help_panel=SHADOWS,
        ),
    ] = None,
    canary_record: Annotated[
        Path | None,
        typer.Option(
            metavar="MARKED.npz",
            help="Look for the marks that rosetta plant put into the training data of MODEL.",
            rich_help_panel=SHADOWS,
        ),
    ] = None,
    features: Features = None,
    allow_code: AllowCode = None,
    allow_pickle: AllowPickle = False,
    memory: Memory = None,
    seed: Seed = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """Measure what a bundle reveals about the private items behind it, before you release it.

    Exit code: 0 measured, 1 the policy is broken, 2 unusable input. No figure here is differential privacy.
    """
    with exit_on_error():
        from rosetta.verbs.audit import audit as run

        n_shadows = shadows_of(thorough, shadows)
        with row_progress(f"auditing {bundle.name}") as on_rows:
            found = run(
                bundle,
                data,
                model=model,
                held_out=held_out,
                held_out_groups=held_out_groups,
                earlier=earlier or (),
                features=features,
                policy=policy,
                groups=groups,
                page=page,
                picture=picture,
                report=report,
                allow_code=allow_code,
                allow_pickle=allow_pickle,
                memory_gib=memory,
                seed=seed,
                force=force,
                shadows=n_shadows,
                shadow_folder=shadow_folder,
                canaries=canaries,
                canary_record=canary_record,
                on_plan=note,
                on_shadow=tell_shadow,
                on_rows=on_rows,
            )
        emit(found, as_json=json, text=lambda: _show(found, has_policy=policy is not None))
        raise typer.Exit(1 if found.violations else 0)


def _show(report: AuditReport, *, has_policy: bool) -> None:
    found = report.audit
    _table(found)
    for origin in found.origins:
        typer.echo(f"\n{origin.origin}: {origin.verdict.upper()}")
        for reason in origin.reasons:
            typer.echo(f"  - {plain(as_options(reason))}")
    if found.attacks:
        _attacks(found)
    for finding in found.findings:
        whose = f" ({finding.origin})" if finding.origin else ""
        typer.echo(f"{'! ' if finding.verdict else '  '}{finding.attack}{whose}: {plain(as_options(finding.reason))}")
    show_shadows(report)
    if has_policy:
        typer.echo(f"\npolicy: {'BROKEN' if report.violations else 'kept'}")
    for violation in report.violations:
        typer.echo(f"  - {plain(as_options(violation))}")


def _table(found: DisclosureAudit) -> None:
    rows = [
        (
            each.origin,
            f"{each.n_points:,}",
            f"{each.n_copies:,}",
            f"{each.n_near_copies:,}",
            f"{each.nearest_ratio_min:.2f}",
            f"{each.nearest_ratio_median:.2f}",
            f"{each.n_rare_exposed:,}",
            "" if each.members is None else f"{each.members:,}",
            "" if each.demixed is None else f"{100 * each.demixed:.3g} %",
            each.verdict,
        )
        for each in found.origins
    ]
    header = ("origin", "points", "copies", "near", "DCR", "median DCR", "rare", "members", "demixed", "verdict")
    table(header, rows)
    typer.echo(
        f"{found.n_items:,} items. DCR: normalised distance to closest record, from a point to its nearest item, over "
        f"the median distance of an item to its nearest other one ({found.typical_distance:.4g})"
    )
    typer.echo(f"each item has {found.numbers_an_item or 0:,} numbers: {found.items_a_number or 0:.3g} items a number")


def _attacks(found: DisclosureAudit) -> None:
    unit = "items" if found.n_groups is None else f"groups (of {found.n_groups:,})"
    typer.echo(f"\nattacks: can somebody tell {unit} of the data from {found.n_held_out:,} held-out items?")
    rows = [
        (
            each.attack,
            each.origin or ("" if each.is_ceiling else "all"),
            each.knows,
            f"{each.auc:.3f} ({each.low:.3f}–{each.high:.3f})",
            "" if each.caught_at_1_percent is None else f"{100 * each.caught_at_1_percent:.1f} %",
            "" if each.caught_at_0_1_percent is None else f"{100 * each.caught_at_0_1_percent:.1f} %",
        )
        for each in found.attacks
    ]
    table(("attack", "points", "the attacker has", "AUC (95 %)", "found at 1 %", "at 0.1 %"), rows)
    typer.echo(
        "AUC: how often a member looks more like one than an outsider, 0.5 by guessing; found: members, where so many "
        "of the outsiders are taken for members"
    )
