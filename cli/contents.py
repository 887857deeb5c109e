"""What a bundle's page says: names and words, in sections."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from .words import MAX_PROSE, Line, brief, counted, names, paragraphs, settings, several, shorten, size, span

if TYPE_CHECKING:
    from pydantic import JsonValue
    from rosetta.schemas.audit import AttackSummary, OriginAudit
    from rosetta.schemas.manifest import Creator, InputDescription, PreprocessingStep, Provenance
    from rosetta.schemas.reports import InspectReport

NONE_STATED = "none stated"
UNCHECKED = "claimed by the sender, not checked"
ORIGINS = {
    "observed": "items of the sender's data, which the file discloses",
    "averaged": "means of several items of the sender's data",
    "mixed": "mixtures of several items of the sender's data",
    "decoded": "made by the sender's decoder: not data",
    "moments": "drawn from moments of the sender's data: not data",
    "public": "items of data that anybody can get",
}
DTYPES = {
    "f4": "32-bit floats", "f8": "64-bit floats", "u1": "8-bit integers", "i4": "32-bit integers",
    "i8": "64-bit integers",
}  # fmt: skip


class Fact(NamedTuple):
    """A name and what is known under it, line by line."""

    name: str
    lines: tuple[Line, ...]


class Section(NamedTuple):
    """Facts that belong together."""

    title: str
    facts: tuple[Fact, ...]


def header(report: InspectReport) -> Section:
    """Return what the bundle calls itself."""
    words = report.manifest.provenance
    return _section("", {"title": shorten(words.title, 300), "description": paragraphs(words.description)})


def sections(report: InspectReport) -> list[Section]:
    """Return the rest of the page, in reading order."""
    return [
        _terms(report),
        _pairs(report),
        _coverage(report),
        _making(report.manifest.provenance),
        _identity(report),
    ]


def _terms(report: InspectReport) -> Section:
    words = report.manifest.provenance
    return _section("Who made it, and its terms", {
        "creator": several(words.creators, _creator),
        "created": words.created,
        "signature": Line(report.signature.state, shorten(report.signature.message, MAX_PROSE)),
        "licence": shorten(words.license),
        "terms of use": paragraphs(words.terms_of_use) or NONE_STATED,
        "citation": paragraphs(words.citation) or NONE_STATED,
    })  # fmt: skip


def _creator(creator: Creator) -> str:
    orcid = f"ORCID {creator.orcid}" if creator.orcid else None
    return ", ".join(shorten(text) for text in (creator.name, creator.affiliation, orcid) if text)


def _pairs(report: InspectReport) -> Section:
    content, origins = report.manifest.content, Counter[str]()
    for entry in content.origins:
        origins[entry.origin] += entry.n_pairs
    counts = ", ".join(f"{n} {origin}" for origin, n in origins.items())
    space, n_dims = content.space.name or "unnamed", content.space.n_dims
    return _section("Space and pairs", {
        "latent space": f"{shorten(space)}, {counted(n_dims, 'dimension')}",
        "spread": None if report.total_sd is None
        else Line(f"{report.total_sd:.4g}", f"total sd; the prior's is {n_dims**0.5:.4g}"),
        "pairs": f"{report.n_pairs}: {report.n_anchors} anchors and {report.n_checks} checks ({counts})",
        "origin": [Line(origin, ORIGINS[origin]) for origin in origins],
        "inputs": _input(content.input),
        "features": names(content.input.feature_names),
        "input range": Line(span(report.input_range), f"declared: {span(content.input.value_range)}"),
        "latents": Line(span(report.latent_range), "posterior means"),
        "posterior sd": _posterior(report),
        "weights": report.weight_range and Line(span(report.weight_range), "share of the data, pair by pair"),
        "not finite": f"{report.n_nonfinite:,} numbers of inputs and latents" if report.n_nonfinite else None,
        "preprocessing": several(content.preprocessing, _step) or Line("none", "inputs are as recorded"),
    })  # fmt: skip


STEPS = {
    "channels_first": "to (channels, height, width)",
    "channels_last": "to (height, width, channels)",
    "clip": "what lies outside goes to the nearer end",
    "flatten": "all numbers of an item on one axis",
    "grey": "0.299 red, 0.587 green and 0.114 blue",
    "log1p": "the natural logarithm of 1 + x",
    "normalize_total": "each item's numbers add up to this",
    "resize": "height and width in pixels, by a triangle filter",
    "spectrogram": "of a sound: log amplitude, frequency by time, the time stretched",
    "standardize": "each feature less its mean, over its sd",
}


def _input(described: InputDescription) -> str:
    sides = described.shape
    shape = " × ".join(map(str, sides)) if len(sides) > 1 else counted(math.prod(sides), "number")
    axes = f" ({' × '.join(shorten(name, 40) for name in described.axis_names)})" if described.axis_names else ""
    units = f", in {shorten(described.units, 60)}" if described.units else ""
    kind = DTYPES[described.dtype]
    if described.stored_range is not None:
        kind = f"stored in 8 bits, 0 and 255 standing for {span(described.stored_range)}"
    return f"{shorten(described.modality or 'array')}, {shape}{axes}, {kind}{units}"


def _posterior(report: InspectReport) -> Line | None:
    if report.posterior_sd is None:
        return None
    low, median, high = report.posterior_sd
    return Line(f"{span((low, high))}, median {median:.4g}", "the prior's is 1")


def _step(step: PreprocessingStep) -> Line:
    """Describe a step; a step of a plug-in is shown as it is declared."""
    low, high = step.parameters.get("low"), step.parameters.get("high")
    if step.name == "scale" and isinstance(low, int | float) and isinstance(high, int | float):
        return Line(f"scale({low:g}, {high:g})", f"{low:g} becomes 0, and {high:g} becomes 1")
    if step.name in STEPS:
        from rosetta.preprocessing import describe_records

        return Line(describe_records([step]), STEPS[step.name])
    arrays = counted(len(step.arrays), "array") if step.arrays else ""
    arguments = ", ".join(filter(None, (settings(step.parameters), arrays)))
    return Line(shorten(step.name, 60) + (f"({arguments})" if arguments else ""))


def _coverage(report: InspectReport) -> Section:
    figures = report.manifest.provenance.selection.coverage
    if figures is None:
        return _section("How the anchors cover the data", {"coverage": "not stated"})
    least = f"; {1 / report.n_anchors:.2g} if even" if report.n_anchors else ""
    distance = "lower is better: gap to an anchor, RMS, in spreads"
    silhouette = "not stated" if figures.silhouette is None else f"{figures.silhouette:.4g}"
    return _section("How the anchors cover the data", {
        "quantisation": Line(f"{figures.quantisation_error:.4g}", distance),
        "largest gap": Line(
            "not stated" if figures.largest_gap is None else f"{figures.largest_gap:.4g}",
            "lower is better: of the farthest item",
        ),
        "largest share": Line(f"{figures.largest_share:.4g}", f"lower is better: of one anchor{least}"),
        "silhouette": Line(silhouette, "higher is better: -1 to 1"),
    })  # fmt: skip


def _making(words: Provenance) -> Section:
    model, selection = words.model, words.selection
    architecture, objective, framework = (
        shorten(t, 60) for t in (model.architecture, model.objective, model.framework)
    )
    elbo = None if model.held_out_elbo is None else f"{model.held_out_elbo:.5g} nats an item"
    seed = "" if selection.seed is None else f"seed {selection.seed}"
    chosen = [shorten(selection.method, 60), settings(selection.settings), seed]
    n_items = "number of items not stated" if words.data.n_items is None else f"{words.data.n_items:,} items"
    return _section("How it was made", {
        "data": [Line(n_items), *paragraphs(words.data.description)],
        "model": f"{architecture} {objective}, {model.n_parameters:,} parameters, {framework}",
        "training": settings(model.training),
        "held-out ELBO": elbo and Line(elbo, "higher is better, on like data"),
        "selection": ", ".join(filter(None, chosen)),
        "audit": _audit(words.disclosure_audit or {}),
        "software": settings(words.software),
    })  # fmt: skip


def _audit(found: dict[str, JsonValue]) -> list[Line]:
    """Return what the audit says of each origin, if it is of our form; another's is shown as it is declared."""
    from pydantic import ValidationError
    from rosetta.schemas.audit import AuditSummary, Disclosure, OriginAudit

    try:
        known = Disclosure.model_validate_json(json.dumps(found))
    except ValidationError:
        return [Line(settings(found), UNCHECKED)]
    lines = []
    for each in known.audit.origins if known.audit else ():
        lines.append(Line(f"{each.origin}: {each.verdict}", _copies(each) if isinstance(each, OriginAudit) else ""))
    if isinstance(known.audit, AuditSummary):
        lines += [Line(f"attack by {each.attack}", _attack(each)) for each in known.audit.attacks]
    elif known.audit is not None:
        lines += [
            Line(f"attack by {each.attack}", f"AUC {each.auc:.3f} ({each.low:.3f} to {each.high:.3f}), guessing is 0.5")
            for each in known.audit.attacks
        ]
        lines += [
            Line(f"membership by {each.attack}", f"advantage {each.advantage:.3f} ({each.low:.3f} to {each.high:.3f})")
            for each in known.audit.membership
        ]
    lines += [
        Line(f"{each.origin}: differentially private", f"epsilon {each.epsilon:g}, delta {each.delta:g}, inputs only")
        for each in known.privacy
    ]
    if known.policy is not None:
        lines.append(Line(f"policy {known.policy.sha256}", "the sender's, under which it was made"))
    return [Line(UNCHECKED), *lines] if lines else [Line("none", "nobody measured what the pairs disclose")]


def _copies(found: OriginAudit) -> str:
    return (
        f"{found.n_copies + found.n_near_copies:,} copies or near copies among {found.n_points:,} points; smallest "
        f"normalised distance to closest record (DCR) {found.nearest_ratio_min:.2g}"
    )


def _attack(found: AttackSummary) -> str:
    figures = {
        "AUC": found.auc, "advantage": found.advantage, "caught at 1 % false positives": found.caught_at_1_percent,
    }  # fmt: skip
    return ", ".join(f"{name} {figure:.2g}" for name, figure in figures.items() if figure is not None)


def _identity(report: InspectReport) -> Section:
    manifest, words = report.manifest, report.manifest.provenance
    parents: dict[str, list[str]] = {}
    for parent in words.parents:
        parents.setdefault(parent.relation.replace("_", " "), []).append(parent.content_id)
    steps = "steps from the first model of this space" if words.generation else "the first model of this space"
    return _section("Identity and lineage", {
        "generation": Line(str(words.generation), steps),
        **{relation: several(ids, str) for relation, ids in parents.items()},
        "space id": manifest.content.space.id,
        "content id": report.content_id,
        "bundle id": report.bundle_id,
        "weights id": words.model.weights_sha256,
        "format": f"{manifest.format} {manifest.format_version}, {size(report.n_bytes)} of arrays and manifest",
        "requires": several(manifest.requires, shorten),
        "extension": several(list(manifest.extensions.items()), lambda each: f"{shorten(each[0])}: {brief(each[1])}"),
    })  # fmt: skip


def _section(title: str, known: Mapping[str, str | Line | list[Line] | None]) -> Section:
    """Return what is known as facts; what is empty is left out."""
    values = ((name, [value] if isinstance(value, str | Line) else value) for name, value in known.items() if value)
    lines = ((name, tuple(Line(v) if isinstance(v, str) else v for v in value)) for name, value in values)
    return Section(title, tuple(Fact(name, each) for name, each in lines))
