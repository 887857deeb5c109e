"""What is allowed, but a person should know: weak bundles, and bundles that tell more than they must."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b

import numpy as np

from rosetta.arrays import flat
from rosetta.bundle import layout
from rosetta.bundle.manifest import escape
from rosetta.rules.engine import Candidate, Problem, rule

_SHAPES = {"RZ-V108", "RZ-V109", "RZ-V110"}
_NUMBERS = _SHAPES | {"RZ-V113", "RZ-V114", "RZ-V115", "RZ-V117"}
_PROVENANCE = "/manifest#/provenance"

LEAST_CHECKS = 8  # below this a bootstrap interval says nothing
LEAST_SPREAD = 1 / 3  # share of the space's variance

_PRIVATE = (
    ("an e-mail address", re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+\.\w+")),
    (
        "a path",
        re.compile(r"(?<![\w:/.])(/(home|Users|mnt|data|scratch|tmp|root|var|srv|opt)/\S+|[A-Za-z]:\\\S+|~/\S+)"),
    ),
)


@rule("RZ-W202", section="5.3", fix="Distil with `citation`.", requires={"RZ-V106"})
def citation_is_there(file: Candidate) -> Iterator[Problem]:
    """The bundle says how to cite it."""
    if file.manifest.provenance.citation is None:
        yield Problem(f"{_PROVENANCE}/citation", "there is no citation")


@rule("RZ-W203", section="5.3", fix="Distil with `terms`.", requires={"RZ-V106"})
def terms_are_there(file: Candidate) -> Iterator[Problem]:
    """The bundle says on what terms it may be used."""
    if file.manifest.provenance.terms_of_use is None:
        yield Problem(f"{_PROVENANCE}/terms_of_use", "there are no terms of use beside the licence")


@rule(
    "RZ-W204",
    section="4.4",
    fix="Distil again; if it stays, remove duplicate items from the data.",
    requires=_NUMBERS,
)
def pairs_are_different(file: Candidate) -> Iterator[Problem]:
    """No two pairs have the same input."""
    rows = np.ascontiguousarray(flat(file.bundle.inputs)) + 0  # makes 0 of −0
    unique = len({blake2b(row.tobytes(), digest_size=16).digest() for row in rows})
    if unique != len(rows):
        yield Problem(layout.INPUTS, f"{len(rows) - unique} of {len(rows)} inputs are copies of others")


@rule(
    "RZ-W205",
    section="4.4",
    fix="Train the sender's model with fewer latent dimensions or a smaller β.",
    requires=_NUMBERS,
)
def dimensions_vary(file: Candidate) -> Iterator[Problem]:
    """Every latent dimension varies over the anchors (variance above 0.0001)."""
    flat_dims = np.flatnonzero(file.bundle.anchor_latents.var(axis=0, dtype=np.float64) <= 1e-4)
    if len(flat_dims):
        n_dims = file.manifest.content.space.n_dims
        shown = ", ".join(map(str, flat_dims[:12])) + (", …" if len(flat_dims) > 12 else "")
        yield Problem(
            layout.LATENTS,
            f"{len(flat_dims)} of {n_dims} latent dimensions hardly vary over the anchors (counted from 0: {shown})",
        )


@rule("RZ-W206", section="5.3", fix="Distil again without the private text.", requires={"RZ-V106"})
def manifest_is_discreet(file: Candidate) -> Iterator[Problem]:
    """No text of the manifest looks like an e-mail address or a path of the sender's machine."""
    for pointer, text in _texts(file.value, "/manifest#"):
        for what, pattern in _PRIVATE:
            if found := pattern.search(text):
                yield Problem(pointer, f"holds {what}, {found.group()!r}")


@rule("RZ-W207", section="4.4", fix="Distil more `pairs`.", requires=_NUMBERS)
def anchors_suffice(file: Candidate) -> Iterator[Problem]:
    """There are more anchors than latent dimensions, else they cannot fix even an affine map."""
    n_anchors, n_dims = int(file.bundle.is_anchor.sum()), file.manifest.content.space.n_dims
    if n_anchors < n_dims + 1:
        yield Problem(
            layout.ROLES,
            f"{n_anchors} anchors cannot fix an affine map of {n_dims} dimensions: {n_dims + 1} can",
        )


@rule("RZ-W208", section="4.4", fix="Distil with `checks`.", requires=_NUMBERS)
def checks_are_there(file: Candidate) -> Iterator[Problem]:
    """There are at least eight check pairs, so that a receiver can prove the result."""
    n_checks = int((~file.bundle.is_anchor).sum())
    if n_checks < LEAST_CHECKS:
        yield Problem(layout.ROLES, f"{n_checks} check pairs: `rosetta check` needs {LEAST_CHECKS}")


@rule(
    "RZ-W209",
    section="5.3",
    fix="Distil with `terms`, or make points that are no items, as with `origin='decoded'`.",
    requires={"RZ-V106"},
)
def observed_points_have_terms(file: Candidate) -> Iterator[Problem]:
    """Observed points, which are items of the sender's data, come with terms of use."""
    origins = file.manifest.content.origins
    observed = sum(o.n_pairs for o in origins if o.origin == "observed")
    if observed and file.manifest.provenance.terms_of_use is None:
        yield Problem(
            "/manifest#/content/origins",
            f"{observed} inputs are items of the sender's data, disclosed without terms",
        )


@rule(
    "RZ-W210",
    section="4.4",
    fix="Distil again from the model that the moments were computed with.",
    requires=_NUMBERS,
)
def anchors_lie_in_the_space(file: Candidate) -> Iterator[Problem]:
    """The anchors' mean is within three standard deviations of the space's mean in every dimension."""
    mean, covariance = file.bundle.space_mean, file.bundle.space_covariance
    if mean is None or covariance is None:
        return
    sd = np.sqrt(np.maximum(np.diag(covariance), 0)) + 1e-9
    distance = np.abs(file.bundle.anchor_latents.mean(axis=0, dtype=np.float64) - mean) / sd
    if (distance > 3).any():
        yield Problem(
            layout.LATENTS,
            f"in dimension {int(distance.argmax())} the anchors' mean is {distance.max():.1f} standard deviations "
            "away from the space's",
        )


@rule(
    "RZ-W213",
    section="4.4",
    fix="Make sure that the data is in the units that the model was trained on; then train it longer, or distil with "
    "`origin='averaged'` or moments.",
    requires=_NUMBERS,
)
def pairs_span_the_space(file: Candidate) -> Iterator[Problem]:
    """The latents of the pairs have at least a third of the variance of all the sender's latents."""
    covariance = file.bundle.space_covariance
    if covariance is None or not (total := float(np.trace(covariance))) > 0:
        return
    share = float(file.bundle.latents.var(axis=0, dtype=np.float64).sum()) / total
    if share < LEAST_SPREAD:
        yield Problem(
            layout.LATENTS,
            f"the pairs have {share:.0%} of the variance of the sender's latents: what lies farther out is free",
        )


def _texts(value: object, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict):
        for key, each in value.items():
            if not pointer.endswith(("/content/arrays", "/arrays")):
                yield f"{pointer}/{escape(key)}", key
            yield from _texts(each, f"{pointer}/{escape(key)}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _texts(each, f"{pointer}/{number}")
