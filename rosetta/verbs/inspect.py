"""What is in a bundle."""

from __future__ import annotations

import shlex
from os import PathLike
from pathlib import Path

import numpy as np

from rosetta.arrays import Array
from rosetta.bundle import Bundle, layout
from rosetta.bundle.reader import RawBundle
from rosetta.bundle.signature.envelope import (
    Signature,
    count_others,
    form_problems,
    read_signature,
    subject_problems,
    trust_problems,
    trusted_signers,
)
from rosetta.bundle.signature.trust import Trust
from rosetta.errors import BundleError
from rosetta.files import Paths, shown
from rosetta.rules import Candidate
from rosetta.rules.arrays import input_is_as_described, latents_have_the_spaces_dimensions, pair_counts_agree
from rosetta.schemas.manifest import FORMAT
from rosetta.schemas.reports import InspectReport, SignatureState
from rosetta.validation.signers import trust_if_any

SHAPE_RULES = {
    "RZ-V114": pair_counts_agree,
    "RZ-V115": latents_have_the_spaces_dimensions,
    "RZ-V126": input_is_as_described,
}


def inspect(
    path: str | PathLike[str], *, trusted_keys: Paths = (), trust_file: str | PathLike[str] | None = None
) -> tuple[InspectReport, Bundle]:
    """Open a bundle and return its facts beside it.

    Parameters
    ----------
    path : path
        The bundle. A signature is looked for beside it, in ``path.sig.json``.
    trusted_keys : path or sequence of paths
        Public Ed25519 keys to hold the signature against; without any, it is not verified.
    trust_file : path, optional
        A TOML file that pins keys to names.

    Returns
    -------
    InspectReport, Bundle
        A signature that is refused is reported, not raised: `verify` gives a verdict.

    Raises
    ------
    SourceError, BundleError
        As `Bundle.open`; for arrays that are not as the manifest describes them; for keys that cannot be read.
    """
    trust = trust_if_any(trusted_keys, trust_file)
    bundle = Bundle.open(path)
    _check_shapes(bundle)
    n_anchors = int(bundle.is_anchor.sum())
    report = InspectReport(
        bundle=shown(path),
        content_id=bundle.content_id,
        bundle_id=bundle.bundle_id,
        n_bytes=sum(array.nbytes for array in bundle.arrays.values()) + len(bundle.manifest_bytes),
        n_pairs=len(bundle.inputs),
        n_anchors=n_anchors,
        n_checks=len(bundle.inputs) - n_anchors,
        input_range=_range(bundle.inputs),
        latent_range=_range(bundle.latents),
        n_nonfinite=_n_nonfinite(bundle.inputs) + _n_nonfinite(bundle.latents),
        posterior_sd=_spread(bundle.latents_sd),
        weight_range=_range(bundle.weights),
        total_sd=_total_sd(bundle),
        signature=_signature_state(Path(path), bundle, trust),
        manifest=bundle.manifest,
    )
    return report, bundle


def _check_shapes(bundle: Bundle) -> None:
    """Refuse arrays that do not fit each other or their description: `Bundle.open` looks at each alone."""
    attributes = {layout.FORMAT_ATTRIBUTE: FORMAT, layout.VERSION_ATTRIBUTE: bundle.manifest.format_version}
    candidate = Candidate(RawBundle(0, attributes, bundle.manifest_bytes, bundle.arrays))
    for rule, find in SHAPE_RULES.items():
        for location, message in find(candidate):
            raise BundleError(rule, location, f"{message}. For all that is wrong, see rosetta validate")


def _n_nonfinite(values: Array) -> int:
    if values.dtype.kind != "f" or np.isfinite([values.min(), values.max()]).all():  # NaN and infinity show in these
        return 0
    return int(values.size - np.isfinite(values).sum())


def _finite(values: Array) -> Array:
    """Return `values` as they are if all are finite, else those that are, in one dimension."""
    return values[np.isfinite(values)] if _n_nonfinite(values) else values


def _range(values: Array | None) -> tuple[float, float] | None:
    if values is None or not (finite := _finite(values)).size:
        return None
    return float(finite.min()), float(finite.max())


def _spread(values: Array | None) -> tuple[float, float, float] | None:
    if values is None or not (finite := _finite(values)).size:
        return None
    with np.errstate(over="ignore"):
        return float(finite.min()), float(np.median(finite)), float(finite.max())


def _total_sd(bundle: Bundle) -> float | None:
    if bundle.space_covariance is None and not bundle.is_anchor.any():
        return None
    with np.errstate(all="ignore"):  # a stranger's numbers
        total = bundle.latents_total_sd
    return total if np.isfinite(total) else None


def _signature_state(path: Path, bundle: Bundle, trust: Trust | None) -> SignatureState:
    """Return what stands beside the bundle, held against the keys if any were given."""
    found = read_signature(path)
    ids = {"bundle_id": bundle.bundle_id, "content_id": bundle.content_id}
    for refusal in form_problems(found) or subject_problems(found, **ids):
        return SignatureState(state="refused", message=refusal.message)
    if not isinstance(found, Signature):
        message = "nobody has put a signature to these words: anybody can have written them"
        return SignatureState(state="unsigned", message=message)
    if trust is None:
        return SignatureState(state="unverified", message=_how_to_verify(found, path))
    for refusal in trust_problems(found, trust):
        return SignatureState(state="refused", message=refusal.message)
    signers = trusted_signers(found, trust)
    message = ", ".join(f"{signer.name} ({signer.key})" for signer in signers)
    others = f", and {n} more by nobody that you trust" if (n := count_others(found, trust)) else ""
    message = f"signed by {message}, {found.statement.predicate.signed}{others}"
    return SignatureState(state="verified", signers=signers, message=message)


def _how_to_verify(signature: Signature, path: Path) -> str:
    hints = [each.keyid for each in signature.envelope.signatures if each.keyid]
    claimed = f"by {hints[0][:60]!r}, as it claims" if hints else "by a key that it does not name"
    name = shlex.quote(shown(path))
    return f"{claimed}; not checked. With the signer's public key: rosetta verify {name} --trusted-key KEY.pub"
