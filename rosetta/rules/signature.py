"""Whether somebody stands behind the bundle, and who: the signature file beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rosetta.bundle.signature.envelope import (
    Refusal,
    Signature,
    form_problems,
    subject_problems,
    trust_problems,
    trusted_signers,
)
from rosetta.rules.engine import Candidate, Problem, rule

_GET = "Ask the sender for the signature that belongs to this bundle."


def _problems(refusals: Iterable[Refusal]) -> Iterator[Problem]:
    for refusal in refusals:
        yield Problem("/", refusal.message)


@rule("RZ-V128", section="9", fix=_GET)
def signature_is_well_formed(file: Candidate) -> Iterator[Problem]:
    """A signature file beside the bundle is a DSSE envelope of an in-toto statement about a bundle."""
    yield from _problems(form_problems(file.signature))


@rule("RZ-V129", section="9", fix=_GET, requires={"RZ-V128", "RZ-V112"})
def signature_is_of_this_bundle(file: Candidate) -> Iterator[Problem]:
    """A signature file beside the bundle is about this bundle."""
    ids = {"bundle_id": file.bundle.bundle_id, "content_id": file.bundle.content_id}
    yield from _problems(subject_problems(file.signature, **ids))


@rule("RZ-V130", section="9", fix="Use the bundle only if you trust it for another reason.", requires={"RZ-V129"})
def signer_is_trusted(file: Candidate) -> Iterator[Problem]:
    """Where keys to trust are given, one of them signed the bundle."""
    if file.trust is not None:
        if file.signature is None:
            yield Problem("/", "there is no signature, but keys to trust are given")
        yield from _problems(trust_problems(file.signature, file.trust))


@rule("RZ-W201", section="9", fix="Sign with `rosetta sign`; a receiver asks the sender for the signature file.",
      requires={"RZ-V101"})  # fmt: skip
def signature_is_there(file: Candidate) -> Iterator[Problem]:
    """The bundle is signed: there is a signature file beside it."""
    if file.signature is None and not file.is_draft:
        yield Problem("/", "nobody signed the bundle, so nothing shows who made it")


@rule("RZ-I304", section="9", fix="To find out who signed, run `rosetta verify` with keys that you trust.",
      requires={"RZ-V130"})  # fmt: skip
def signers_are_named(file: Candidate) -> Iterator[Problem]:
    """Who signed the bundle, as far as keys to trust are given."""
    if isinstance(file.signature, Signature):
        signers = trusted_signers(file.signature, file.trust or ())
        names = ", ".join(f"{signer.name} ({signer.key})" for signer in signers)
        n = len(file.signature.envelope.signatures)
        unknown = f"{n} signature{'s' * (n != 1)}, not verified: no key to trust was given"
        yield Problem("/", f"signed by {names}" if names else unknown)
