"""What a training is to be: settings, data and bundles held against each other before any work is done."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rosetta import preprocessing
from rosetta.arrays import Array
from rosetta.bundle import Bundle
from rosetta.errors import IncompatibleError, UsageError
from rosetta.inputs.matching import Features
from rosetta.inputs.prepare import Expected, Prepared, Streamable, prepare_within, tolerated, value_range
from rosetta.inputs.streaming import Facts, gibibytes
from rosetta.models import OPTIONS, architectures, options_of
from rosetta.models.factory import load_factory
from rosetta.models.likelihoods import Likelihood
from rosetta.objectives.kinds import objectives
from rosetta.schemas.record import Record
from rosetta.schemas.run import RunConfig, TrainSettings
from rosetta.settings import check_settings
from rosetta.sources import Rows

DEFAULT_LATENT_DIM = 8


def refuse_idle_settings(settings: TrainSettings, *, has_anchors: bool) -> None:
    """Raise UsageError for settings that would have no effect beside the others: something was meant by them."""
    without = TrainSettings()
    changed = {name for name in TrainSettings.model_fields if getattr(settings, name) != getattr(without, name)}
    anchor_settings = sorted(name for name in changed if name.startswith("anchor") or name == "align")
    if anchor_settings and not has_anchors:
        options = ", ".join(_option(name) for name in anchor_settings)
        raise UsageError(f"{options} without `anchors` has no effect: pass a bundle with `anchors`, or leave it out")
    is_held = settings.anchor_weight == "auto"
    for idle, name, why in (
        (not is_held, "anchor_tolerance", "beside a fixed `anchor_weight`"),
        (is_held, "anchor_scaling", "on a held anchor weight, which finds its own scale: pass `anchor_weight=N` too"),
        (settings.likelihood != "gaussian", "precision", f"on the {settings.likelihood} likelihood"),
        (settings.lr_warmup > settings.epochs, "lr_warmup", "beyond the last of `epochs`"),
        (settings.kl_anneal > settings.epochs, "kl_anneal", "beyond the last of `epochs`"),
        (settings.beta == 0, "kl_anneal", "beside `beta=0`"),
        (not objectives.get(settings.objective).has_beta, "beta", f"on the objective {settings.objective}"),
        (not settings.validation, "patience", "without held-out items: pass `validation` above 0"),
    ):
        if idle and name in changed:
            advice = "" if ": pass" in why else ": leave one of them out"
            raise UsageError(f"{_option(name)} has no effect {why}{advice}")
    objective_settings(settings)
    known = _options(settings.architecture)
    idle_options = [name for name in OPTIONS if name in changed and name not in known]
    if idle_options:
        raise UsageError(
            f"{', '.join(map(_option, idle_options))} has no effect on the architecture {settings.architecture}, whose "
            f"options are {', '.join(map(_option, known)) or 'none'}: leave it out"
        )


def objective_settings(settings: TrainSettings) -> Record:
    """Return the objective's own settings, with its defaults, or raise UsageError."""
    return check_settings(objectives.get(settings.objective).settings, dict(settings.objective_settings))


def value_of(settings: TrainSettings, name: str) -> Any:
    """Return a setting of the training, or of its objective, by its name."""
    if name in TrainSettings.model_fields:
        return getattr(settings, name)
    return getattr(objective_settings(settings), name)


def sorted_out(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with those that are the objective's own in a mapping `objective_settings`.

    Raises
    ------
    UsageError
        If there is no such objective, or a setting is another objective's.
    """
    chosen = str(settings.get("objective") or TrainSettings().objective)
    own = objectives.get(chosen).settings.model_fields
    found = {name: value for name, value in settings.items() if name in own and name not in TrainSettings.model_fields}
    rest = {name: value for name, value in settings.items() if name not in found}
    for name in rest.keys() - TrainSettings.model_fields.keys():
        others = [each for each in objectives if name in objectives.get(each).settings.model_fields]
        if others:
            raise UsageError(f"{_option(name)} has no effect on the objective {chosen}: it is of {', '.join(others)}")
    if found:
        rest["objective_settings"] = {**settings.get("objective_settings", {}), **found}
    return rest


def _options(architecture: str) -> dict[str, object]:
    """Return the options of an architecture; one that the user names as package.module:factory is imported."""
    return options_of(load_factory(architecture) if ":" in architecture else architectures.get(architecture))


def _option(name: str) -> str:
    return f"`{name}`"


def prepare_items(
    data: str | Array,
    bundles: list[Bundle],
    features: Features,
    settings: TrainSettings,
    *,
    budget: int,
    only: Callable[[Rows], Array] | None = None,
) -> Prepared | Streamable:
    """Return the inputs of `data`, in the bundles' space if there are any, or raise IncompatibleError.

    They are in memory if they take no more than `budget` bytes there. `only` gives the numbers of the rows that are
    trained on or held out, as if the data had no others.
    """
    expected = _expected_by(bundles, settings) if bundles else None
    items = prepare_within(budget, data, expected, features=features, preprocess=settings.preprocess, only=only)
    if isinstance(items, Streamable) and items.blocks.pool < settings.batch_size:
        batch = 4 * items.inputs.item_size * settings.batch_size
        raise UsageError(
            f"`batch_size={settings.batch_size}` takes {gibibytes(batch)} of memory, but `memory_gib` is "
            f"{gibibytes(budget)}, of which half is for items to draw from: take smaller batches, or more memory"
        )
    return items


def _expected_by(bundles: list[Bundle], settings: TrainSettings) -> Expected:
    """Return what the bundles expect of inputs, if they belong together."""
    if len({b.content_id for b in bundles}) < len(bundles):
        raise UsageError("a bundle is given twice with `anchors`: give each once")
    first = bundles[0].manifest.content
    for number, other in enumerate((b.manifest.content for b in bundles[1:]), start=2):
        differences = [
            f"{name}: {a} in the first, {b} in number {number}"
            for name, a, b in (
                ("latent space", first.space.id, other.space.id),
                ("input shape", first.input.shape, other.input.shape),
                (
                    "preprocessing",
                    preprocessing.describe_records(first.preprocessing),
                    preprocessing.describe_records(other.preprocessing),
                ),
                ("feature names", first.input.feature_names, other.input.feature_names),
            )
            if a != b
        ]
        if differences:
            raise IncompatibleError(
                "the bundles do not belong together:\n  - " + "\n  - ".join(differences) + "\nTrain on one of them, "
                "then distil the other lab's data with that model to bring it into the same space"
            )
    n_dims = first.space.n_dims
    if settings.latent_dim is not None and settings.latent_dim < n_dims:
        raise IncompatibleError(
            f"`latent_dim` is {settings.latent_dim}, but the bundle's latent space has {n_dims} dimensions: "
            "leave the option out to take the bundle's, or pass more, to have free ones beside them"
        )
    if settings.align and settings.latent_dim not in (None, n_dims):
        raise IncompatibleError(
            f"`align` rotates all of a model's dimensions to the bundle's, and `latent_dim={settings.latent_dim}` is "
            f"more than its {n_dims}: leave one of them out"
        )
    steps = preprocessing.from_records(first.preprocessing, bundles[0].arrays)
    span = tolerated(first.input.value_range, settings.likelihood)
    return Expected("the bundle", first.input.shape, steps, first.input.feature_names, span)


def configure(
    items: Prepared | Streamable, bundles: list[Bundle], settings: TrainSettings
) -> tuple[RunConfig, dict[str, Array]]:
    """Return what rebuilds the model and prepares its inputs, and the arrays of preprocessing steps by path."""
    records, step_arrays = preprocessing.to_records(
        items.info.steps, lambda number, name: f"/preprocessing/{number}.{name}"
    )
    ranges = [value_range(items.facts), *(b.manifest.content.input.value_range for b in bundles)]
    n_dims = bundles[0].manifest.content.space.n_dims if bundles else settings.latent_dim or DEFAULT_LATENT_DIM
    latent_dim = settings.latent_dim or n_dims
    defaults = _options(settings.architecture)
    resolved = {n: v for n, v in defaults.items() if n in OPTIONS and getattr(settings, n) is None}
    config = RunConfig(
        input_shape=items.inputs.shape[1:],
        latent_dim=latent_dim,
        space_dims=n_dims if n_dims < latent_dim else None,
        value_range=(min(low for low, _ in ranges), max(high for _, high in ranges)),
        feature_names=items.info.feature_names,
        preprocessing=records,
        library_size=library_size(items.facts) if settings.likelihood == "negative-binomial" else None,
        settings=TrainSettings(**(settings.model_dump() | resolved)),  # old runs outlive new defaults
    )
    return config, step_arrays


def library_size(facts: Facts) -> float:
    """Return the median total of an item, at least 1; 1 too where the inputs are no counts, which are refused later."""
    return max(facts.median_total or 0.0, 1.0)


def check_inputs(likelihood: Likelihood, facts: Facts, settings: TrainSettings) -> None:
    """Raise UsageError unless the inputs lie where the likelihood is defined."""
    bounds = likelihood.bounds()
    if bounds is None:
        return
    low, high = facts.low, facts.high
    if low < bounds[0] or high > bounds[1]:
        raise UsageError(
            f"the {settings.likelihood} likelihood needs inputs from {bounds[0]:g} to {bounds[1]:g}, but these range "
            f"from {low:g} to {high:g}: "
            + (
                "pass counts as they were made, with `preprocess='none'`"
                if likelihood.is_counts
                else f"scale them, as with `preprocess='scale({low:g}, {high:g})'`, or take another likelihood"
            )
        )
    if likelihood.is_counts and facts.uneven_row is not None:
        raise UsageError(
            f"the {settings.likelihood} likelihood is one of counts, but row {facts.uneven_row} (counted from 0) holds "
            "numbers that are not whole: pass counts as they were made, with `preprocess='none'`"
        )


def rows_digest(rows: Array) -> str:
    """Return the sha256 of sorted row numbers, int, shape (n_rows,)."""
    return hashlib.sha256(np.ascontiguousarray(rows, dtype="<i8").tobytes()).hexdigest()


def split_items(n_items: int, settings: TrainSettings, groups: Array | None = None) -> tuple[Array, Array]:
    """Return sorted row numbers: held out, to train on.

    With groups, int from 0 without gaps, shape (n_items,), these are held out whole, in an order of chance, until there
    are as many of their items as were to be held out, or as near to that as can be. At least one is, and one is not.
    """
    n_held_out = round(settings.validation * n_items)
    rng = np.random.default_rng(settings.seed)
    if groups is None:
        order = rng.permutation(n_items)
        held_out, rest = np.sort(order[:n_held_out]), np.sort(order[n_held_out:])
    else:
        sizes = np.bincount(groups)
        if n_held_out and len(sizes) < 2:
            raise UsageError(
                "all items are of one group, so none can be held out: leave `groups` out, or `validation=0`"
            )
        order = rng.permutation(len(sizes))
        n_groups = 0
        if n_held_out:
            n_groups = int(np.abs(np.cumsum(sizes[order])[:-1] - n_held_out).argmin()) + 1
        is_held_out = np.isin(groups, order[:n_groups])
        held_out, rest = np.flatnonzero(is_held_out), np.flatnonzero(~is_held_out)
    if len(rest) < 2:
        raise UsageError(
            f"`validation={settings.validation:g}` of {n_items} items leaves {len(rest)} to train on: hold out fewer"
        )
    return held_out, rest
