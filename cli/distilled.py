"""The text report of `rosetta distill`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from .render import facts, table

if TYPE_CHECKING:
    from rosetta.schemas.reports import DistillReport

SHOWN_STRATA = 8


def show(report: DistillReport) -> None:
    """Print counts, coverage, and what the points reveal."""
    from rosetta.disclosure.verdicts import how_well, worst_of

    counts = ", ".join(f"{each.n_anchors}+{each.n_checks} {each.origin}" for each in report.origins)
    lines = [
        ("bundle", f"{report.bundle} ({report.n_bytes / 1e6:,.1f} MB)"),
        ("content id", report.content_id),
        ("pairs", f"{report.n_anchors} anchors and {report.n_checks} checks ({counts}), {report.n_dims}-D"),
    ]
    if (coverage := report.coverage) is not None:
        lines.append((
            "coverage",
            f"an item is {coverage.quantisation_error:.3f} total standard deviations (RMS) from an anchor, "
            f"{coverage.largest_gap:.3f} at most",
        ))  # fmt: skip
    if report.n_sampled is not None:
        lines.append(
            ("chosen from", f"a random sample of {report.n_sampled:,} items; centroids take the nearest of all")
        )
    if report.growth:
        tried = ", ".join(f"{each.quantisation_error:.3f} with {each.n_pairs:,}" for each in report.growth)
        lines.append(("pairs tried", tried))
    if report.strata:
        rarest = sorted(report.strata, key=lambda each: each.n_items)[:SHOWN_STRATA]
        told = ", ".join(f"{each.n_anchors} of {each.name} ({each.n_items:,} items)" for each in rarest)
        more = f", … ({len(report.strata)} in all)" if len(report.strata) > len(rarest) else ""
        lines.append(("strata", f"anchors: {told}{more}"))
    for name, figures in report.figures.items():
        if figures.reencoding_rms is not None:
            lines.append((
                f"{name} points",
                f"the encoder puts them {figures.reencoding_rms:.3f} total standard deviations (RMS) from the drawn "
                f"latents; {(figures.n_dropped_reencoding or 0) + (figures.n_dropped_range or 0)} were dropped",
            ))  # fmt: skip
    for account in report.privacy:
        lines.append((f"{account.origin} points", f"({account.epsilon:g}, {account.delta:g})-differentially private"))
    if (worst := worst_of(report.audit.attacks)) is not None:
        lines.append(("strongest attack", how_well(worst)))
    facts(lines)
    typer.echo("\nWhat the points reveal:")
    table(
        ("", "points", "copies", "near copies", "DCR¹", "verdict"),
        [
            (
                each.origin, f"{each.n_points:,}", f"{each.n_copies:,}", f"{each.n_near_copies:,}",
                f"{each.nearest_ratio_min:.2f}", each.verdict,
            )
            for each in report.audit.origins
        ],
    )  # fmt: skip
    typer.echo(
        "¹ normalised distance to closest record, the smallest: from a point to its nearest item, over the median "
        "distance\n  of an item to its nearest other one; 0 is a copy"
    )
    if report.privacy:
        typer.echo(report.privacy[0].statement)
    typer.echo(
        f"\nNext: rosetta audit {report.bundle} --data … --page audit.html, and rosetta validate {report.bundle}"
    )
