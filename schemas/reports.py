"""What each verb returns, and its command prints as JSON."""

from __future__ import annotations

from typing import Literal

from rosetta.schemas.audit import DisclosureAudit, PrivacyAccount
from rosetta.schemas.distill import Growth, OriginCount, PointFigures, StratumCount
from rosetta.schemas.manifest import Coverage, Manifest, OriginName
from rosetta.schemas.metrics import MetricValue, SkippedMetric
from rosetta.schemas.record import Count, NonNegative, Positive, Record, Sha256, Share, Text
from rosetta.schemas.run import AnchorSource, FinalFigures, RunSet
from rosetta.schemas.signature import SignedBy


class TrainReport(Record):
    """`rosetta train`."""

    run: str
    objective: Text
    n_items: Positive
    n_validation: Count  # of these, held out to measure on
    epochs: Positive
    best_epoch: Positive | None = None  # whose weights these are, where early stopping chose them
    rows_per_s: NonNegative
    final: FinalFigures
    final_anchor_weight: NonNegative | None = None
    anchors: tuple[AnchorSource, ...]
    notes: tuple[Text, ...] = ()  # what the user should know, as it goes to stderr


class RunSetReport(Record):
    """`rosetta train` with `replicates`, and `rosetta sweep`."""

    run: str  # the folder of the runs' folders
    n_items: Positive
    n_validation: Count
    anchors: tuple[AnchorSource, ...]
    runs: RunSet
    notes: tuple[Text, ...] = ()  # what the user should know, as it goes to stderr


class DistillReport(Record):
    """`rosetta distill`."""

    bundle: str
    content_id: Sha256
    bundle_id: Sha256
    n_bytes: Positive
    n_pairs: Positive
    n_anchors: Positive
    n_checks: Count
    n_dims: Positive
    origins: tuple[OriginCount, ...]
    figures: dict[str, PointFigures]  # by origin
    coverage: Coverage | None  # null under differential privacy
    audit: DisclosureAudit
    privacy: tuple[PrivacyAccount, ...]
    n_sampled: Positive | None = None  # items that the selection saw, where there were too many to see all
    growth: tuple[Growth, ...] = ()  # the numbers of pairs that `pairs='auto'` tried
    strata: tuple[StratumCount, ...] = ()  # where points were chosen from strata
    filled_features: tuple[Text, ...] = ()  # that the data lacks
    n_skipped: Count = 0  # bad files that were left out
    notes: tuple[Text, ...] = ()  # what the user should know, as it goes to stderr


class Interval(Record):
    """An estimate with its 95 % bootstrap interval."""

    value: NonNegative
    low: NonNegative
    high: NonNegative


class OriginAgreement(Record):
    """The fraction of variance unexplained (`fvu`) of the check pairs of one origin, relative to their own variance."""

    origin: OriginName
    n_checks: Positive
    fvu: NonNegative


class CheckReport(Record):
    """`rosetta check`.

    `fvu` is the fraction of variance unexplained: the share of the check latents' variance that the model misses, with
    no map fitted: 0 is perfect, 1 is as far as answering with the mean, more is worse. `null` is its mean when the
    pairing is permuted; `p_value` the share of permutations that do at least as well as the true pairing. `origins`
    are those of the check pairs; where there are several, `by_origin` has each with at least eight of them, observed
    items first. `spread` is the check latents' variance as a share of the variance of all the
    sender's latents (null where the bundle does not tell it). `signed_by` are the trusted keys whose signature was
    checked, none unless one was required.
    """

    verdict: Literal["aligned", "not aligned", "not proven"]
    reason: str
    n_checks: Positive
    origins: tuple[OriginName, ...]
    by_origin: tuple[OriginAgreement, ...] = ()
    spread: NonNegative | None
    fvu: Interval
    null: NonNegative
    p_value: Share
    threshold: NonNegative
    rms_over_sd: NonNegative
    retrieval_top1: Share
    content_id: Sha256
    signed_by: tuple[SignedBy, ...] = ()
    notes: tuple[Text, ...] = ()  # what the user should know, as it goes to stderr


class LinearMap(Record):
    """The least-squares map z¹ ≈ A z² + b behind `fvu_mapped` (R-VAE paper, appendices I and J).

    `singular_values` are the spectrum of P in the polar decomposition A = U P; `effective_rank` is the
    exponential of the entropy of the normalised spectrum; `distance_from_identity` is
    ‖A/σ_max − I‖_F / √D (null where A is not square); `offset_norm` is ‖b‖.
    """

    singular_values: tuple[NonNegative, ...]
    effective_rank: NonNegative
    distance_from_identity: NonNegative | None
    offset_norm: NonNegative


class CompareReport(Record):
    """`rosetta compare`: how far B's latents are from A's, the reference.

    `metrics` has a value for each metric of the catalogue whose needs are met, or for those that were asked for;
    `skipped` the others, with what they lack. `linear_map` is null where `fvu_mapped` is not among the metrics.
    """

    n_items: Positive
    metrics: tuple[MetricValue, ...]
    skipped: tuple[SkippedMetric, ...]
    linear_map: LinearMap | None
    notes: tuple[Text, ...] = ()  # what the user should know, as it goes to stderr

    def __getitem__(self, name: str) -> MetricValue:
        """Return the value of the metric of this name; KeyError if it was not measured."""
        for each in self.metrics:
            if each.metric == name:
                return each
        raise KeyError(name)


class MigrateReport(Record):
    """`rosetta migrate`."""

    bundle: str
    output: str
    from_version: str
    to_version: str
    content_id: Sha256
    bundle_id: Sha256


class EmbedReport(Record):
    """`rosetta embed`."""

    latents: str
    n_items: Positive
    n_dims: Positive
    rows_per_s: NonNegative
    notes: tuple[Text, ...] = ()  # what the user should know, as it goes to stderr


class SignatureState(Record):
    """Whether somebody stands behind a bundle, as far as the file beside it and the given keys tell.

    `unverified` is a well-formed signature for this bundle that was held against no key; `refused` is one that is
    malformed, for another bundle, or by no key that was given. `signers` are the trusted keys whose signature was
    checked.
    """

    state: Literal["unsigned", "unverified", "verified", "refused"]
    signers: tuple[SignedBy, ...] = ()
    message: str


class InspectReport(Record):
    """`rosetta inspect`.

    Ranges are of the finite values, smallest and largest, and null where there is none; `posterior_sd` is smallest,
    median and largest. What may be missing from a bundle is null where it is.
    """

    bundle: str
    content_id: Sha256
    bundle_id: Sha256
    n_bytes: Positive  # of arrays and manifest
    n_pairs: Positive
    n_anchors: Count
    n_checks: Count
    input_range: tuple[float, float] | None
    latent_range: tuple[float, float] | None
    n_nonfinite: Count  # NaN or infinity among the numbers of inputs and latents
    posterior_sd: tuple[float, float, float] | None
    weight_range: tuple[float, float] | None
    total_sd: NonNegative | None  # of the space: the root of the sum of its variances
    signature: SignatureState
    manifest: Manifest


class DemoRow(Record):
    """One of Bob's models in the demo's table."""

    model: str
    run: str
    n_anchors: Count
    fvu: NonNegative  # of Bob's latents of Alice's held-out digits
    reconstruction: NonNegative
    verdict: str | None
    checks_fvu: NonNegative | None  # of the check pairs


class DemoReport(Record):
    """`rosetta demo`."""

    folder: str
    rows: tuple[DemoRow, ...]
    observed_improvement: NonNegative
    decoded_improvement: NonNegative
    picture: str
    elapsed_s: NonNegative
