"""What a training is to be: settings, data and bundles held against each other before any work is done."""

from __future__ import annotations

import numpy as np

from rosetta import preprocessing
from rosetta.arrays import Array
from rosetta.bundle import Bundle
from rosetta.errors import IncompatibleError, UsageError
from rosetta.models.likelihoods import Likelihood
from rosetta.schemas.run import RunConfig, TrainSettings
from rosetta.verbs.prepare import Expected, Features, Prepared, fit_inputs, match_inputs, value_range

DEFAULT_LATENT_DIM = 8


def refuse_idle_settings(settings: TrainSettings, *, has_anchors: bool) -> None:
    """Raise UsageError for settings that would have no effect beside the others: something was meant by them."""
    without = TrainSettings()
    changed = {name for name in TrainSettings.model_fields if getattr(settings, name) != getattr(without, name)}
    anchor_settings = sorted(name for name in changed if name.startswith("anchor"))
    if anchor_settings and not has_anchors:
        options = ", ".join("--" + name.replace("_", "-") for name in anchor_settings)
        raise UsageError(f"{options} without --anchors has no effect: pass a bundle with --anchors, or leave it out")
    if settings.anchor_weight != "auto" and "anchor_tolerance" in changed:
        raise UsageError("--anchor-tolerance has no effect beside a fixed --anchor-weight: leave one of them out")
    if settings.likelihood != "gaussian" and "precision" in changed:
        raise UsageError(f"--precision is of the Gaussian likelihood, not of {settings.likelihood}: leave it out")


def prepare_items(data: str | Array, bundles: list[Bundle], features: Features, settings: TrainSettings) -> Prepared:
    """Return the inputs of `data`, in the bundles' space if there are any, or raise IncompatibleError."""
    if not bundles:
        return fit_inputs(data, features=features, preprocess=settings.preprocess)
    if len({b.content_id for b in bundles}) < len(bundles):
        raise UsageError("a bundle is given twice with --anchors: give each once")
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
    if settings.latent_dim not in (None, n_dims):
        raise IncompatibleError(
            f"--latent-dim is {settings.latent_dim}, but the bundle's latent space has {n_dims} dimensions: "
            "leave the option out to take the bundle's"
        )
    steps = preprocessing.from_records(first.preprocessing, bundles[0].arrays)
    expected = Expected("the bundle", first.input.shape, steps, first.input.feature_names, first.input.value_range)
    return match_inputs(data, expected, features=features, preprocess=settings.preprocess)


def configure(items: Prepared, bundles: list[Bundle], settings: TrainSettings) -> tuple[RunConfig, dict[str, Array]]:
    """Return what rebuilds the model and prepares its inputs, and the arrays of preprocessing steps by path."""
    records, step_arrays = preprocessing.to_records(items.steps, lambda number, name: f"/preprocessing/{number}.{name}")
    ranges = [value_range(items.inputs), *(b.manifest.content.input.value_range for b in bundles)]
    latent_dim = bundles[0].manifest.content.space.n_dims if bundles else settings.latent_dim or DEFAULT_LATENT_DIM
    config = RunConfig(
        input_shape=items.inputs.shape[1:],
        latent_dim=latent_dim,
        value_range=(min(low for low, _ in ranges), max(high for _, high in ranges)),
        feature_names=items.feature_names,
        preprocessing=records,
        settings=settings,
    )
    return config, step_arrays


def check_bounds(likelihood: Likelihood, inputs: Array, settings: TrainSettings) -> None:
    """Raise UsageError unless the inputs lie where the likelihood is defined."""
    bounds = likelihood.bounds()
    if bounds is None:
        return
    low, high = float(inputs.min()), float(inputs.max())
    if low < bounds[0] or high > bounds[1]:
        raise UsageError(
            f"the {settings.likelihood} likelihood needs inputs from {bounds[0]:g} to {bounds[1]:g}, but these range "
            f"from {low:g} to {high:g}: scale them, as with --preprocess 'scale({low:g}, {high:g})', "
            "or take another likelihood"
        )


def split_items(n_items: int, settings: TrainSettings) -> tuple[Array, Array]:
    """Return sorted row numbers: held out, to train on."""
    order = np.random.default_rng(settings.seed).permutation(n_items)
    n_held_out = round(settings.validation * n_items)
    if n_items - n_held_out < 2:
        raise UsageError(
            f"--validation {settings.validation:g} of {n_items} items leaves {n_items - n_held_out} to train on: "
            "hold out fewer"
        )
    return np.sort(order[:n_held_out]), np.sort(order[n_held_out:])
