"""Whether the numbers make sense, one by one and together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rosetta.arrays import Floats, flat
from rosetta.bundle import layout
from rosetta.bundle.manifest import escape
from rosetta.errors import PreprocessingError
from rosetta.rules.engine import Candidate, Problem, rule

_REMAKE = "Ask the sender to distil the bundle again."
_SHAPES = {"RZ-V108", "RZ-V109", "RZ-V110"}
_PAIRS = _SHAPES | {"RZ-V114", "RZ-V115", "RZ-V117"}
_NUMBERS = _PAIRS | {"RZ-V113"}


@rule("RZ-V113", section="4.2", fix=_REMAKE, requires=_SHAPES)
def numbers_are_finite(file: Candidate) -> Iterator[Problem]:
    """Every number is finite."""
    for path, array in file.raw.arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = np.atleast_1d(~np.isfinite(flat(np.atleast_1d(array))).all(axis=1))
            yield Problem(path, f"{bad.sum()} of {len(bad)} rows hold NaN or infinity, the first is row {bad.argmax()}")


@rule("RZ-V114", section="4.1", fix=_REMAKE, requires=_SHAPES)
def pair_counts_agree(file: Candidate) -> Iterator[Problem]:
    """All arrays of pairs have the same number of rows, which is the sum over the origins."""
    counts = {p: file.raw.arrays[p].shape[0] if file.raw.arrays[p].ndim else 0
              for p in layout.PAIR_ARRAYS if p in file.raw.arrays}  # fmt: skip
    n_pairs = counts[layout.INPUTS]
    for path, count in counts.items():
        if count != n_pairs:
            yield Problem(path, f"{count} rows, but {layout.INPUTS} has {n_pairs}")
    declared = sum(origin.n_pairs for origin in file.manifest.content.origins)
    if declared != n_pairs:
        yield Problem("/manifest#/content/origins", f"the origins cover {declared} pairs, but there are {n_pairs}")


@rule("RZ-V115", section="4.1", fix=_REMAKE, requires=_SHAPES)
def latents_have_the_spaces_dimensions(file: Candidate) -> Iterator[Problem]:
    """Latents, their spread and the space's moments have the space's number of dimensions."""
    n_dims = file.manifest.content.space.n_dims
    beside_rows = {layout.LATENTS: (n_dims,), layout.LATENTS_SD: (n_dims,), layout.WEIGHTS: (), layout.ROLES: ()}
    for path, shape in beside_rows.items():
        if path in file.raw.arrays and file.raw.arrays[path].shape[1:] != shape:
            yield Problem(path, f"a row has shape {file.raw.arrays[path].shape[1:]}, expected {shape}")
    for path, shape in {layout.SPACE_MEAN: (n_dims,), layout.SPACE_COVARIANCE: (n_dims, n_dims)}.items():
        if path in file.raw.arrays and file.raw.arrays[path].shape != shape:
            yield Problem(path, f"shape {file.raw.arrays[path].shape}, expected {shape}")


@rule("RZ-V116", section="4.2", fix=_REMAKE, requires=_NUMBERS)
def weights_are_a_distribution(file: Candidate) -> Iterator[Problem]:
    """Weights are not negative and sum to 1."""
    weights = file.bundle.weights
    if weights is None:
        return
    if (weights < 0).any():
        yield Problem(layout.WEIGHTS, f"row {int((weights < 0).argmax())} is negative")
    if abs(float(weights.sum()) - 1) > 1e-6:
        yield Problem(layout.WEIGHTS, f"they sum to {float(weights.sum()):.9g}, expected 1")


@rule("RZ-V117", section="4.2", fix=_REMAKE, requires=_SHAPES)
def roles_are_known(file: Candidate) -> Iterator[Problem]:
    """Every role is 0 (anchor) or 1 (check), and there is an anchor."""
    roles = file.raw.arrays[layout.ROLES]
    unknown = (roles != layout.ANCHOR) & (roles != layout.CHECK)
    if unknown.any():
        row = int(unknown.argmax())
        yield Problem(
            layout.ROLES, f"row {row} has the role {int(roles.flat[row])}; there are 0 (anchor) and 1 (check)"
        )
    elif not (roles == layout.ANCHOR).any():
        yield Problem(layout.ROLES, "no pair is an anchor")


@rule("RZ-V118", section="4.2", fix=_REMAKE, requires=_NUMBERS)
def inputs_are_in_their_range(file: Candidate) -> Iterator[Problem]:
    """Every input lies in the declared range of values."""
    low, high = file.manifest.content.input.value_range
    inputs = flat(file.bundle.inputs)
    outside = np.atleast_1d(((inputs < low) | (inputs > high)).any(axis=1))
    if outside.any():
        yield Problem(
            layout.INPUTS,
            f"{outside.sum()} of {len(outside)} rows leave the declared range {low:g} to {high:g}, "
            f"the first is row {outside.argmax()}",
        )


@rule("RZ-V119", section="5.4", fix=_REMAKE, requires=_NUMBERS)
def preprocessing_can_be_repeated(file: Candidate) -> Iterator[Problem]:
    """Every preprocessing step is known, its arrays are in the file, and it can be rebuilt from them."""
    from rosetta.preprocessing import check_result, steps

    declared = file.manifest.content.preprocessing
    for number, step in enumerate(declared):
        where = f"/manifest#/content/preprocessing/{number}"
        missing = [(name, path) for name, path in step.arrays.items() if path not in file.raw.arrays]
        for name, path in missing:
            yield Problem(f"{where}/arrays/{escape(name)}", f"names the array {path}, which the file lacks")
        for name, path in step.arrays.items():
            if not path.startswith("/preprocessing/"):
                yield Problem(f"{where}/arrays/{escape(name)}", f"names {path}; arrays of steps are in /preprocessing")
        if step.name not in steps:
            yield Problem(f"{where}/name", f"unknown step {step.name!r}; known: {', '.join(sorted(steps))}")
        elif not missing:
            try:
                check_result(declared[number:], file.raw.arrays, file.bundle.inputs.shape[1:])
            except PreprocessingError as error:
                yield Problem(where, str(error))


@rule("RZ-V127", section="4", fix=_REMAKE, requires=_SHAPES)
def extra_arrays_belong_to_something(file: Candidate) -> Iterator[Problem]:
    """Every array under /preprocessing is named by a step, and every one under /ext by an extension."""
    named = {path for step in file.manifest.content.preprocessing for path in step.arrays.values()}
    for path in file.raw.arrays:
        if path.startswith("/preprocessing/") and path not in named:
            yield Problem(path, "no preprocessing step names this array")
        if path.startswith("/ext/") and path.split("/")[2] not in file.manifest.extensions:
            yield Problem(path, f"the manifest declares no extension {path.split('/')[2]!r}")


@rule("RZ-V122", section="4.2", fix=_REMAKE, requires=_NUMBERS)
def spread_is_positive(file: Candidate) -> Iterator[Problem]:
    """Posterior standard deviations are not negative."""
    spread = file.bundle.latents_sd
    if spread is not None and (spread < 0).any():
        yield Problem(layout.LATENTS_SD, f"row {int((spread < 0).any(axis=1).argmax())} holds a negative number")


@rule("RZ-V123", section="4.3", fix=_REMAKE, requires=_NUMBERS)
def covariance_is_one(file: Candidate) -> Iterator[Problem]:
    """The space's covariance is symmetric without negative eigenvalues beyond rounding, and comes with its mean."""
    mean, covariance = file.bundle.space_mean, file.bundle.space_covariance
    if (mean is None) != (covariance is None):
        yield Problem("/space", "mean and covariance stand together or not at all")
    if covariance is None:
        return
    scale = max(float(np.abs(covariance).max()), np.finfo(np.float64).tiny)
    if not np.allclose(covariance, covariance.T, rtol=0, atol=1e-9 * scale):
        yield Problem(layout.SPACE_COVARIANCE, "it is not symmetric")
    elif not _has_no_eigenvalue_below(covariance, -1e-6 * scale):
        yield Problem(layout.SPACE_COVARIANCE, "it has a negative eigenvalue: it is the covariance of nothing")
    elif not float(np.trace(covariance)) > 0:
        yield Problem(layout.SPACE_COVARIANCE, "it is zero: a space without extent has no scale")


def _has_no_eigenvalue_below(matrix: Floats, bound: float) -> bool:
    """Whether a symmetric matrix minus `bound` times the identity has a Cholesky factor: cheaper than eigenvalues."""
    try:
        np.linalg.cholesky(matrix - bound * np.eye(len(matrix)))
    except np.linalg.LinAlgError:
        return False
    return True


@rule("RZ-V126", section="5.2", fix=_REMAKE, requires=_SHAPES)
def input_is_as_described(file: Candidate) -> Iterator[Problem]:
    """The described input has the shape and dtype of the inputs, and one name for each feature and axis."""
    described, inputs = file.manifest.content.input, file.manifest.content.arrays[layout.INPUTS]
    where = "/manifest#/content/input"
    if described.shape != inputs.shape[1:]:
        yield Problem(f"{where}/shape", f"says {described.shape}, but one input has {inputs.shape[1:]}")
    if described.dtype != inputs.dtype:
        yield Problem(f"{where}/dtype", f"says {described.dtype}, but the inputs are {inputs.dtype}")
    if described.stored_range is not None and inputs.dtype != "u1":
        yield Problem(f"{where}/stored_range", f"is for inputs of dtype u1 only, and these are {inputs.dtype}")
    names = described.feature_names
    if names is not None and (len(described.shape) != 1 or len(names) != described.shape[0]):
        yield Problem(f"{where}/feature_names", f"{len(names)} names for inputs of shape {described.shape}")
    if names is not None and len(set(names)) != len(names):
        yield Problem(f"{where}/feature_names", "a name stands twice")
    if described.axis_names is not None and len(described.axis_names) != len(described.shape):
        yield Problem(f"{where}/axis_names", f"{len(described.axis_names)} names for {len(described.shape)} axes")
