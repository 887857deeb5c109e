"""A run folder's documents: `config.json` rebuilds the model, `run.json` says what happened."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from rosetta.schemas.manifest import PreprocessingStep
from rosetta.schemas.option import option
from rosetta.schemas.record import Count, NonNegative, Positive, Record, Sha256, Shape, SpaceId, Text
from rosetta.schemas.separation import Separation
from rosetta.schemas.signature import SignedBy

NETWORK, TRAINING, ANCHORS, MACHINE = "Network", "Training", "Anchors", "Machine"
PositiveFloat = Annotated[float, Field(gt=0)]

Sizes = Annotated[tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...], Field(strict=False, min_length=1)]
Activation = Literal["relu", "leaky-relu", "elu", "gelu", "silu", "softplus", "tanh"]


class TrainSettings(Record):
    """Everything that shapes a training, with its defaults and the help of its options."""

    # a plug-in's name, or package.module:factory
    architecture: Text = option("dense", "dense, conv, resnet-mnist, resnet-birdsong or disentanglement.", NETWORK)
    latent_dim: Annotated[int, Field(ge=1, le=65_536)] | None = option(
        None, "Latent dimensions; those beyond a bundle's are free.", NETWORK, shown="the bundle's, or 8"
    )
    # from here to sparse, None is the architecture's own default
    hidden: Sizes | None = option(
        None, "Sizes of the encoder's hidden layers: N,N,…", NETWORK, shown="the architecture's"
    )
    channels: Sizes | None = option(
        None, "Channels of the encoder's convolutions: N,N,…", NETWORK, shown="the architecture's"
    )
    activation: Activation | None = option(None, "What follows each hidden layer.", NETWORK, shown="relu")
    tied: bool | None = option(None, "Decode with the encoder's weights, transposed.", NETWORK, shown="no-tied")
    sparse: Annotated[float, Field(gt=0, le=1)] | None = option(
        None, "Share of each hidden layer's units that stay active, the largest.", NETWORK, shown="1"
    )
    likelihood: Literal["gaussian", "bernoulli", "poisson", "negative-binomial"] = option(
        "gaussian", "What the decoder's output means.", NETWORK
    )
    precision: Literal["learned"] | PositiveFloat = option(
        10.0, "1 / variance of the Gaussian likelihood: a number, or learned.", NETWORK
    )
    preprocess: Text | None = option(
        None,
        "Steps joined by |, of scale(low, high) and standardize; or none.",
        NETWORK,
        shown="the bundle's; without one, scale(0, 255) for uint8",
    )
    epochs: Positive = option(100, "Passes over the data.", TRAINING)
    batch_size: Positive = option(128, "Items in a step, on all devices together.", TRAINING)
    lr: PositiveFloat = option(1e-3, "Adam's learning rate.", TRAINING)
    lr_schedule: Literal["constant", "linear", "cosine"] = option(
        "constant", "How the learning rate falls; the last two end at 0.", TRAINING
    )
    lr_warmup: NonNegative = option(0.0, "Epochs over which the learning rate rises from 0.", TRAINING)
    clip: PositiveFloat | None = option(
        None, "Largest norm of the gradient; a longer one is scaled down.", TRAINING, shown="none"
    )
    patience: Positive | None = option(
        None,
        "Stop after so many epochs without a better held-out loss, and keep the best epoch's weights.",
        TRAINING,
        shown="none",
    )
    procedure: Text = option(
        "joint", "How a step is made: joint, or aggressive, which trains the encoder ahead of the decoder.", TRAINING
    )
    objective: Text = option("vae", "What is minimised: `rosetta objectives` lists what there is.", TRAINING)
    objective_settings: dict[
        Text, float | int | str | bool
    ] = {}  # the objective's own, where they are not its defaults
    beta: NonNegative = option(1.0, "Weight of the KL divergence.", TRAINING)
    kl_anneal: NonNegative = option(0.0, "Epochs over which that weight rises from 0.", TRAINING)
    anchor_weight: Literal["auto"] | NonNegative = option(
        "auto", "Weight of the anchors: auto holds their error at the tolerance; or a number.", ANCHORS
    )
    anchor_tolerance: PositiveFloat = option(
        0.05, "Anchor error to hold, as a share of the space's total standard deviation.", ANCHORS
    )
    anchor_scaling: Literal["mean", "paper"] = option(
        "mean",
        "What a given weight multiplies: the mean error, or that times the ratio of anchors to batch size.",
        ANCHORS,
    )
    anchor_pair_weights: Literal["uniform", "share"] = option(
        "uniform", "Whether each pair counts alike, or by the share of the sender's items that it stands for.", ANCHORS
    )
    anchor_decoder_weight: NonNegative = option(
        0.0, "Weight of decoding the stored latents back to their inputs.", ANCHORS
    )
    anchor_spread_weight: NonNegative = option(
        0.0, "Weight of the KL divergence from the stored posteriors to the new ones.", ANCHORS
    )
    anchor_elbo_weight: NonNegative = option(0.0, "Weight of the negative ELBO of the anchors' inputs.", ANCHORS)
    anchor_noise: NonNegative = option(
        0.0, "Standard deviation of noise on the anchors' inputs, in their units.", ANCHORS
    )
    anchors_per_step: Positive = option(256, "Anchors drawn at each step, if there are more.", ANCHORS)
    # Procrustes, before the first step
    align: bool = option(False, "Rotate the latents to the anchors in closed form before the first step.", ANCHORS)
    validation: Annotated[float, Field(ge=0, lt=1)] = option(
        0.1, "Share of the items held out to measure on.", TRAINING
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = option(
        0, "Seed: the same seed gives the same result on the same machine.", TRAINING
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = option("auto", "Where numbers are computed.", MACHINE)
    precision_mode: Literal["32", "bf16"] = option("32", "Numbers that the network computes in.", MACHINE)
    compile: bool = option(
        False, "Compile the network first, which takes a minute and pays in long trainings.", MACHINE
    )


class RunConfig(Record):
    """What rebuilds the model and prepares its inputs.

    The first `space_dims` of the model's `latent_dim` dimensions are the latent space's; the others are free, this
    model's own. Null: all of them are the space's.
    """

    schema_version: Literal["1.0"] = "1.0"
    input_shape: Shape
    latent_dim: Positive
    space_dims: Positive | None = None
    value_range: tuple[float, float]
    feature_names: tuple[Text, ...] | None = None
    preprocessing: tuple[PreprocessingStep, ...] = ()
    library_size: PositiveFloat | None = None  # median total of an item, for likelihoods of counts
    settings: TrainSettings

    @model_validator(mode="after")
    def _space_is_in_the_model(self) -> RunConfig:
        if self.space_dims is not None and self.space_dims >= self.latent_dim:
            raise ValueError(
                f"space_dims is {self.space_dims}, but of {self.latent_dim} latent dimensions fewer can be the space's "
                "where some are free"
            )
        return self


class AnchorSource(Record):
    """A bundle that a run was anchored to."""

    content_id: Sha256
    n_pairs: Positive  # anchor pairs; the bundle's check pairs never enter a training
    signed_by: tuple[SignedBy, ...] = ()  # whose signature was checked; nobody's unless one was required


class FinalFigures(Record):
    """Means over the held-out items, in nats an item; over all if none were held out (a sample, of streamed ones).

    `elbo` = −(`reconstruction` + `kl`) whatever β the training used. `reconstruction` is the expected
    negative log-likelihood, constants included. `anchor_rms` is the root-mean-square distance between the
    anchors' stored and new latents as a share of the stored latents' total standard deviation, the unit
    of the anchor tolerance; null without anchors. `check_rms` is the same of the check pairs, which no step of the
    training sees; null where there are none. `anchor_reconstruction` is that of the anchors' inputs, the sender's kind
    of item, encoded and decoded by this model.
    """

    elbo: float
    reconstruction: float
    kl: float
    anchor_rms: NonNegative | None = None
    check_rms: NonNegative | None = None
    anchor_reconstruction: float | None = None


class DataSummary(Record):
    """The data in counts; no path, no name."""

    n_items: Positive
    n_validation: Count
    dtype: Text
    shape: Shape
    filled_features: tuple[Text, ...] = ()  # that the data lacks, and that `fill_missing` stands for
    n_skipped: Count = 0  # bad files that `skip_bad` left out
    n_excluded: Count = 0  # items that a policy left out
    n_groups: Positive | None = None  # whose items are all held out, or all trained on; null: items were split
    inputs_sha256: Sha256 | None = None  # of the prepared inputs, to know them again; absent from older runs
    held_out_sha256: Sha256 | None = None  # of the numbers of the rows that were held out


class RunRecord(Record):
    """What happened in a training."""

    schema_version: Literal["1.0"] = "1.0"
    created: Text
    objective: Text  # the plug-in's name; r-vae for an anchored vae
    space_id: SpaceId
    space_name: Text | None = None
    generation: Count = 0  # 0 for a space's first model, one more for each anchored descendant
    anchors: tuple[AnchorSource, ...] = ()
    data: DataSummary
    n_parameters: Positive
    weights_sha256: Sha256
    started_from: Sha256 | None = None  # digest of the weights that the training began with
    processes: Positive = 1
    epochs: Positive  # that were trained, fewer than the settings' where it stopped early
    best_epoch: Positive | None = None  # whose weights these are, where early stopping chose them
    rows_per_s: NonNegative
    elapsed_s: NonNegative
    final_anchor_weight: NonNegative | None = None
    final: FinalFigures
    memory: Separation | None = None  # how its reconstruction error tells items it was trained on from held-out ones
    software: dict[Text, Text]


class RunEntry(Record):
    """One of several runs that were trained together."""

    name: Text  # its folder
    settings: dict[Text, float | int | str]  # those that differ between the runs
    epochs: Positive | None = None
    final: FinalFigures | None = None  # null if it diverged
    final_anchor_weight: NonNegative | None = None
    diverged: Text | None = None  # where and how


class StepTimes(Record):
    """What a short measurement took for a step of all models, in seconds."""

    stacked_s: NonNegative | None = None  # null if the network cannot be stacked
    sequential_s: NonNegative


class RunSet(Record):
    """`runs.json`: several runs of one command in one folder, replicates or the points of a sweep."""

    schema_version: Literal["1.0"] = "1.0"
    created: Text
    kind: Literal["replicates", "sweep"]
    mode: Literal["stacked", "sequential"]
    step_times: StepTimes | None = None  # where the mode was chosen by measurement
    rows_per_s: NonNegative  # of all together
    runs: tuple[RunEntry, ...]
    criterion: Text | None = None  # what a sweep chose by
    best: Text | None = None  # the name of the run that it chose
