"""Find out who signed a bundle, of those who are trusted."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from rosetta.bundle import Bundle
from rosetta.bundle.signature.envelope import Signature, count_others, read_signature, signed_by
from rosetta.bundle.signature.trust import Trust
from rosetta.errors import BundleError, SignatureError
from rosetta.files import Paths, shown
from rosetta.schemas.signature import VerifyReport
from rosetta.validation.signers import trust_of

DIGEST_RULES = {"RZ-V111", "RZ-V112"}


def verify(
    bundle: str | PathLike[str], *, trusted_keys: Paths = (), trust_file: str | PathLike[str] | None = None
) -> VerifyReport:
    """Return who of the trusted signed a bundle; whoever else may have signed it does not count.

    The bundle is opened and every digest in it checked, then the signature beside it.

    Parameters
    ----------
    bundle : path
        The bundle; its signature stands beside it, in ``bundle.sig.json``.
    trusted_keys : path or sequence of paths
        Public Ed25519 keys, OpenSSH or PEM, one in each file. Their comments are the signers' names.
    trust_file : path, optional
        A TOML file that pins keys to names.

    Returns
    -------
    VerifyReport
        With at least one signer.

    Raises
    ------
    SignatureError
        If the signature is refused; its `reason` is a word for programs.
    RosettaError
        If bundle, keys or trust file cannot be used.
    """
    return _verify(Path(bundle), trust_of(trusted_keys, trust_file))


def _verify(path: Path, trust: Trust) -> VerifyReport:
    try:
        opened = Bundle.open(path)
    except BundleError as error:
        if error.rule in DIGEST_RULES:
            raise SignatureError(
                "altered_bundle", f"the bundle was altered or damaged after it was made, {error}: get it anew"
            ) from error
        raise
    found = read_signature(path)
    signers = signed_by(found, bundle_id=opened.bundle_id, content_id=opened.content_id, trust=trust)
    return VerifyReport(
        bundle=shown(path),
        verified=True,
        reason=None,
        message="signed by " + ", ".join(f"{signer.name} ({signer.key})" for signer in signers),
        signers=signers,
        n_others=count_others(found, trust),
        title=opened.manifest.provenance.title,
        signed=found.statement.predicate.signed if isinstance(found, Signature) else None,
        content_id=opened.content_id,
        bundle_id=opened.bundle_id,
    )


def judge(
    bundle: str | PathLike[str], *, trusted_keys: Paths = (), trust_file: str | PathLike[str] | None = None
) -> VerifyReport:
    """Return what `verify` returns; where it refuses the signature, a report that says so and why."""
    path, trust = Path(bundle), trust_of(trusted_keys, trust_file)
    try:
        return _verify(path, trust)
    except SignatureError as error:
        others = count_others(read_signature(path), trust)
        refused = {
            "bundle": shown(path),
            "verified": False,
            "reason": error.reason,
            "message": str(error),
            "n_others": others,
        }
        return VerifyReport.model_validate(refused)
