"""Points that are not data: latents drawn from the space, decoded by the sender's decoder, labelled by the encoder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rosetta.arrays import Array, Floats, LazyArray, flat, row_blocks
from rosetta.errors import SelectionError, UsageError
from rosetta.origins import Figures, PointBatch, Recipe, SenderData, check_enough, check_width, draw_points, origins
from rosetta.origins.covariance import UNITS_A_DIMENSION, effective_dimensions, even_noise, mean_of, normal_like
from rosetta.origins.draws import draws
from rosetta.schemas.record import PrivacyLevel

RESIDUALS = 4096  # items whose residuals the moments are taken of, at most
FARTHEST = 1.0  # widths of the declared range that an output may lie beyond it, before the point is dropped


@origins.register("decoded")
def decoded(sender: SenderData, n_points: int, rng: np.random.Generator, taken: Array, recipe: Recipe) -> PointBatch:
    """Draw latents as `recipe.draw` says, decode them, and keep what the encoder puts near where it was drawn.

    What the decoder puts outside the declared range of values is clipped to it: the stored latent is the
    encoder's for exactly the stored input, so the pair stays true. A point is dropped, and another drawn, if an output
    lies beyond the range by more than its width, or if the encoder puts it farther than `recipe.reencoding_limit`
    total standard deviations from the drawn latent.

    With `recipe.residuals`, what the decoder leaves out of items is added first: drawn from a normal distribution like
    it, of limited rank (`rosetta.origins.covariance`), and scaled for each point by a random share from 0 to 1.
    Decoders smooth, and an encoder that is tied down on smooth points alone is free on what items have beyond. Below
    ``open``, residuals that vary in more ways than half as many as there are items have the same size everywhere and no
    mean: their mean alone would tell who is among the items.

    Raises
    ------
    UsageError
        If the model has no decoder, or no encoder is given.
    SelectionError
        If there are fewer than a hundred items, or fewer than twice as many as directions along which they vary, or ten
        rounds do not give enough points.
    """
    if sender.decode is None:
        raise UsageError("decoded points need a decoder, and this model has none: take `origin='averaged'` or mixed")
    if sender.encode is None:
        raise UsageError("decoded points are labelled by the encoder, and there is none: pass the model that has it")
    check_enough(sender, "decoded", recipe)
    check_width(sender, rng, recipe)  # whatever else a decoder has learned, it has learned the mean
    next_latents = draws.get(recipe.draw)(sender.latents, sender.latents_sd, rng)
    encode = sender.encode
    decode = _with_residuals(sender, sender.decode, rng, privacy=recipe.privacy) if recipe.residuals else sender.decode
    tally = _Tally(_total_sd(sender.latents))

    def draw(n_wanted: int) -> Floats:
        latents = next_latents(n_wanted).astype(np.float32)
        return tally.kept(sender, encode, decode(latents), latents, limit=recipe.reencoding_limit)

    try:
        inputs = draw_points(sender, n_points, taken, draw, advice="its latents carry too little")
    except SelectionError as error:
        if not tally.n_far + tally.n_beyond:
            raise
        raise SelectionError(f"{error}; {tally.told(recipe.reencoding_limit)}") from error
    ways: Figures = {"draw": recipe.draw, **({"residuals": True} if recipe.residuals else {})}
    return PointBatch(inputs, ways | tally.figures())


def _with_residuals(
    sender: SenderData, decode: Callable[[Floats], Floats], rng: np.random.Generator, *, privacy: PrivacyLevel
) -> Callable[[Floats], Floats]:
    """Return a decoder that adds a random share of what it leaves out of items, drawn from a distribution like that."""
    rows = np.sort(rng.permutation(len(sender.inputs))[:RESIDUALS])
    residuals = flat(sender.inputs[rows] - decode(sender.latents[rows].astype(np.float32)))
    groups = None if sender.groups is None else sender.groups[rows]
    n_units = len(rows) if groups is None else len(np.unique(groups))
    is_few = privacy != "open" and n_units < UNITS_A_DIMENSION * effective_dimensions(residuals, rng)
    fitted = even_noise(residuals) if is_few else normal_like(residuals, rng, groups=groups)

    def decoded_fully(latents: Floats) -> Floats:
        outputs = decode(latents)
        shares = rng.random((len(latents), 1), dtype=np.float32)
        return np.asarray(outputs + (shares * fitted.draw(len(latents), rng)).reshape(outputs.shape))

    return decoded_fully


def _total_sd(latents: LazyArray) -> float:
    """Return the total standard deviation of latents, shape (n_items, n_dims): the root of the trace."""
    mean = mean_of(latents)
    squares = sum(float(((block - mean) ** 2).sum()) for _, block in row_blocks(latents))
    return float(np.sqrt(squares / len(latents)))


class _Tally:
    """What became of the decoded points so far."""

    def __init__(self, scale: float) -> None:
        self.scale = scale  # total standard deviation of the latents
        self.n_kept = self.n_far = self.n_beyond = self.n_clipped = self.n_numbers = 0
        self.squared = 0.0

    def kept(
        self, sender: SenderData, encode: Callable[[Array], Floats], outputs: Floats, latents: Floats, *, limit: float
    ) -> Floats:
        low, high = sender.value_range
        rows = flat(outputs)
        with np.errstate(invalid="ignore"):
            beyond = np.maximum(low - rows, rows - high).max(axis=1) / max(high - low, 1e-12)
        is_near = np.isfinite(rows).all(axis=1) & (beyond <= FARTHEST)
        self.n_beyond += int((~is_near).sum())
        self.n_clipped += int(((rows[is_near] < low) | (rows[is_near] > high)).sum())
        self.n_numbers += rows[is_near].size
        stored = sender.storable(outputs[is_near])
        if not len(stored):
            return stored
        gap = np.linalg.norm(encode(stored) - latents[is_near], axis=1) / self.scale
        is_true = gap <= limit
        self.n_far += int((~is_true).sum())
        self.n_kept += int(is_true.sum())
        self.squared += float((gap[is_true].astype(np.float64) ** 2).sum())
        kept: Floats = stored[is_true]
        return kept

    def figures(self) -> Figures:
        return {
            "reencoding_rms": float(np.sqrt(self.squared / max(self.n_kept, 1))),
            "n_dropped_reencoding": self.n_far,
            "n_dropped_range": self.n_beyond,
            "clipped_share": self.n_clipped / max(self.n_numbers, 1),
        }

    def told(self, limit: float) -> str:
        """Return what to do about it, for an error."""
        if self.n_beyond > self.n_far:
            return (
                f"{self.n_beyond} points were dropped, as the decoder gives numbers far outside the declared range of "
                "inputs: its output and the data are in different units"
            )
        return (
            f"{self.n_far} points were dropped, as the encoder puts them farther than {limit:g} total standard "
            "deviations from where they were drawn (`reencoding_limit`): train the model longer or with a smaller β, "
            "or take another `draw` or `origin='averaged'`"
        )
