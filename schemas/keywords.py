"""The settings as keyword arguments. Made from the settings records by `make generate`."""

# fmt: off
from collections.abc import Sequence
from typing import Literal, Required, TypedDict


class TrainOptions(TypedDict, total=False):
    """The fields of TrainSettings."""

    architecture: str
    latent_dim: int | None
    hidden: Sequence[int] | None
    channels: Sequence[int] | None
    activation: Literal['relu', 'leaky-relu', 'elu', 'gelu', 'silu', 'softplus', 'tanh'] | None
    tied: bool | None
    sparse: float | None
    likelihood: Literal['gaussian', 'bernoulli', 'poisson', 'negative-binomial']
    precision: Literal['learned'] | float
    preprocess: str | None
    epochs: int
    batch_size: int
    lr: float
    lr_schedule: Literal['constant', 'linear', 'cosine']
    lr_warmup: float
    clip: float | None
    patience: int | None
    procedure: str
    objective: str
    beta: float
    kl_anneal: float
    anchor_weight: Literal['auto'] | float
    anchor_tolerance: float
    anchor_scaling: Literal['mean', 'paper']
    anchor_pair_weights: Literal['uniform', 'share']
    anchor_decoder_weight: float
    anchor_spread_weight: float
    anchor_elbo_weight: float
    anchor_noise: float
    anchors_per_step: int
    align: bool
    validation: float
    seed: int
    device: Literal['auto', 'cpu', 'cuda', 'mps']
    precision_mode: Literal['32', 'bf16']
    compile: bool
    capacity: float
    capacity_epochs: float
    capacity_weight: float
    tc_weight: float
    mi_weight: float
    marginal_weight: float
    off_diagonal_weight: float
    diagonal_weight: float


class DistillOptions(TypedDict, total=False):
    """The fields of DistillSettings."""

    license: Required[str]
    title: Required[str]
    creators: Required[Sequence[str]]
    origin: Sequence[str] | None
    pairs: int | Literal['auto'] | None
    checks: int
    observed_checks: int
    select: str | None
    stratify: str | None
    members: int
    mix: int
    draw: str
    residuals: bool
    reencoding_limit: float
    store: Literal['auto', 'uint8', 'float32']
    privacy: Literal['strict', 'standard', 'open']
    reproducible: bool
    groups: str | None
    audit_held_out: bool
    dp_epsilon: float | None
    dp_delta: float | None
    dp_norm: float | None
    terms: str | None
    description: str | None
    citation: str | None
    data_description: str | None
    space_name: str | None
    modality: str | None
    units: str | None
    axes: Sequence[str] | None
    seed: int
