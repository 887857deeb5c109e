"""`rosetta inspect`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import exit_on_error
from .options import BundlePath, Json
from .render import emit, facts

if TYPE_CHECKING:
    from rosetta.schemas.reports import InspectReport


def inspect(
    bundle: BundlePath,
    manifest: Annotated[bool, typer.Option("--manifest", help="Print the manifest's exact bytes.")] = False,
    json: Json = False,
) -> None:
    """Show what is in a bundle."""
    with exit_on_error():
        from rosetta.errors import UsageError
        from rosetta.verbs.inspect import inspect as run

        if manifest and json:
            raise UsageError("--manifest prints the manifest itself, which is JSON: leave --json out")
        report, opened = run(bundle)
        if manifest:
            sys.stdout.buffer.write(opened.manifest_bytes)
            return
        emit(report, as_json=json, text=lambda: _show(report))


def _show(report: InspectReport) -> None:
    content, provenance = report.manifest.content, report.manifest.provenance
    from rosetta.preprocessing import describe_records

    origins = ", ".join(f"{o.n_pairs} {o.origin}" for o in content.origins)
    parents = ", ".join(f"{p.relation.replace('_', ' ')} {p.content_id[:12]}…" for p in provenance.parents)
    shape = " × ".join(map(str, content.input.shape))
    low, high = content.input.value_range
    facts([
        ("title", provenance.title),
        ("by", "; ".join(c.name + (f", {c.affiliation}" if c.affiliation else "") for c in provenance.creators)),
        ("created", provenance.created),
        ("licence", provenance.license),
        ("terms of use", provenance.terms_of_use or "none stated"),
        ("citation", provenance.citation or "none stated"),
        ("", ""),
        ("latent space", f"{content.space.name or 'unnamed'}, {content.space.n_dims} dimensions"),
        ("space id", content.space.id),
        ("pairs", f"{report.n_pairs}: {report.n_anchors} anchors and {report.n_checks} checks ({origins})"),
        ("inputs", f"{content.input.modality or 'array'}, {shape}, {content.input.dtype}, "
                   f"{report.input_range[0]:.4g} to {report.input_range[1]:.4g} (declared {low:.4g} to {high:.4g})"),
        ("latents", f"{report.latent_range[0]:.4g} to {report.latent_range[1]:.4g}"),
        ("preprocessing", describe_records(content.preprocessing)),
        ("", ""),
        ("model", f"{provenance.model.architecture} {provenance.model.objective}, "
                  f"{provenance.model.n_parameters:,} parameters"),
        ("data", ": ".join(filter(None, (f"{provenance.data.n_items:,} items", provenance.data.description)))),
        ("lineage", f"generation {provenance.generation}" + (f", {parents}" if parents else "")),
        ("content id", report.content_id),
        ("bundle id", report.bundle_id),
    ])  # fmt: skip
