"""Groups of items that are to be represented alike: by a label, or by how dense the space is around them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors

from rosetta.arrays import Array, LazyArray, row_blocks
from rosetta.errors import SelectionError

MOST_LABELS = 1000
LAYERS = 4
NEIGHBOUR = 5  # whose distance is the measure of density
REFERENCE = 1000  # items of a sample, among which the neighbour is looked for


def by_label(values: Array) -> tuple[npt.NDArray[np.intp], tuple[str, ...]]:
    """Return the stratum of each item, from its label.

    Parameters
    ----------
    values : array of strings or numbers, shape (n_items,)

    Returns
    -------
    codes : int array, shape (n_items,)
        From 0 to n_labels − 1.
    names : tuple of str, shape (n_labels,)
        In ascending order.

    Raises
    ------
    SelectionError
        If an item has no label ("", NaN), if all labels are different, or there are more than 1,000.
    """
    values = _labelled(values)
    labels, codes = np.unique(values, return_inverse=True)
    if len(labels) > MOST_LABELS or (len(labels) == len(values) and len(values) > 1):
        raise SelectionError(
            f"the {len(values)} items have {len(labels)} different labels, and {MOST_LABELS:,} at most can be strata, "
            "each of several items: continuous numbers are no labels, so divide them into classes first"
        )
    return codes.astype(np.intp), tuple(_as_texts(labels))


def label_texts(values: Array) -> Array:
    """Return what items are labelled with, as text: shape (n_items,); whole numbers by their digits.

    Raises
    ------
    SelectionError
        If an item has no label ("", NaN).
    """
    values = _labelled(values)
    return values if values.dtype.kind == "U" else np.array(_as_texts(values), dtype=str)


def by_density(latents: LazyArray, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Return the layer of density that each item lies in, so that sparse parts get as many points as dense ones.

    The density is measured by the distance to the fifth neighbour within a sample of 1,000 items. Layers are of equal
    width in its logarithm, between its 1st and its 99th percentile.

    Parameters
    ----------
    latents : rows of floats, shape (n_items, n_dims)
        Posterior means.

    Returns
    -------
    int array, shape (n_items,)
        From 0, the densest, to 3, the sparsest. A layer may be empty.
    """
    n_items = len(latents)
    reference = np.sort(rng.choice(n_items, min(REFERENCE, n_items), replace=False))
    items = latents[reference]
    dtype = np.result_type(items.dtype, np.float32)
    nearest = NearestNeighbors(n_neighbors=min(NEIGHBOUR + 1, len(items)), algorithm="brute").fit(items.astype(dtype))
    gaps = np.empty(n_items, dtype=np.float32)
    for start, block in row_blocks(latents):
        found, _ = nearest.kneighbors(block.astype(dtype))
        is_own = np.isin(np.arange(start, start + len(block)), reference)  # an item is not its own neighbour
        gaps[start : start + len(block)] = np.where(is_own, found[:, -1], found[:, max(found.shape[1] - 2, 0)])
    apart = gaps[gaps > 0]
    if not len(apart):
        return np.zeros(n_items, dtype=np.intp)
    low, high = (float(np.log(np.percentile(apart, share))) for share in (1, 99))
    edges = np.exp(np.linspace(low, high, LAYERS + 1))[1:-1]
    return np.digitize(gaps, edges).astype(np.intp)


def allocate(sizes: Array, n_pairs: int) -> npt.NDArray[np.intp]:
    """Return how many pairs each stratum gets: the same, as far as it has items; the rest goes to those that have more.

    Parameters
    ----------
    sizes : int array, shape (n_strata,)
        Different items in each. Empty strata get nothing.

    Returns
    -------
    int array, shape (n_strata,)
        Summing to n_pairs; what cannot be divided goes to the largest strata.

    Raises
    ------
    SelectionError
        If there are fewer items, or more strata that are not empty, than pairs.
    """
    n_items, n_strata = int(sizes.sum()), int((sizes > 0).sum())
    if not 1 <= n_pairs <= n_items:
        raise SelectionError(f"{n_pairs} pairs were asked for, but there are {n_items} different items to choose from")
    if n_pairs < n_strata:
        raise SelectionError(
            f"{n_pairs} pairs cannot stand for {n_strata} strata: ask for {n_strata} at least, or for fewer strata"
        )
    shares = np.zeros(len(sizes), dtype=np.intp)
    while left := n_pairs - int(shares.sum()):
        has_more = np.flatnonzero(shares < sizes)
        if left < len(has_more):
            has_more = has_more[np.argsort(-sizes[has_more], kind="stable")][:left]
        each = max(left // len(has_more), 1)
        shares[has_more] = np.minimum(shares[has_more] + each, sizes[has_more])
    return shares


def _labelled(values: Array) -> Array:
    """Return labels as numbers or strings, shape (n_items,), all of them there."""
    if values.ndim != 1:
        raise SelectionError(f"the labels have shape {values.shape}, but one label for each item is needed")
    if values.dtype.kind not in "biuf":
        values = np.array([_text(value) for value in values.tolist()], dtype=str)
    missing = np.isnan(values) if values.dtype.kind == "f" else values == "" if values.dtype.kind == "U" else None
    if missing is not None and missing.any():
        raise SelectionError(
            f"{int(missing.sum())} of {len(values)} items have no label, the first in row {int(missing.argmax())} "
            "(counted from 0): label or remove them"
        )
    return values


def _as_texts(labels: Array) -> list[str]:
    """Return numbers or strings as text: whole numbers by their digits, whatever they are stored as."""
    is_whole = labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.rint(labels)).all()
    return [str(int(each)) if is_whole else str(each) for each in labels.tolist()]


def _text(value: object) -> str:
    if value is None or value != value:  # NaN is not equal to itself
        return ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
