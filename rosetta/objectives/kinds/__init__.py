"""What a training minimises beside the reconstruction error, one file for each objective.

An objective has settings and terms. Its terms describe themselves; the loop, the logs, the charts, early stopping and
sweeps read the description. Every objective can be combined with anchors and with every likelihood. These files do not
import torch at the top, so that the command line can show their settings quickly. Third parties add an objective by an
entry point in the group ``rosetta.objectives``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rosetta.registry import Registry
from rosetta.schemas.record import Record

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Term:
    """A part of the loss, or a figure beside it.

    Parameters
    ----------
    name : str
        Key in the step's terms and column of ``metrics.csv``.
    title : str
        For charts, with the unit.
    weight : callable
        A training's settings and the objective's own to what the term counts for in the loss.
    unit : str
        Of the mean.
    over : "items" or "anchors"
        What the mean is over: the batch, or the step's anchors.
    is_of_elbo : bool
        Whether the term is a part of the negative evidence lower bound.
    is_annealed : bool
        Whether ``kl_anneal`` lets its weight rise from 0.
    advice : str
        What to try if it becomes no finite number.
    """

    name: str
    title: str
    weight: Callable[[Any, Any], float]
    unit: str = "nats an item"
    over: Literal["items", "anchors"] = "items"
    is_of_elbo: bool = False
    is_annealed: bool = False
    advice: str | None = None


@dataclass(frozen=True)
class Posterior:
    """What an objective is measured on: a batch, as the encoder sees it.

    Where several models train side by side, there is a leading axis n_models.
    """

    mean: Tensor  # shape (…, n_items, n_dims)
    log_variance: Tensor  # shape (…, n_items, n_dims)
    latents: Tensor  # a sample of each item's posterior, shape (…, n_items, n_dims)
    n_data: int  # items that are trained on, of which these are a batch


Terms = Mapping[str, "Tensor"]


@dataclass(frozen=True)
class Objective:
    """What is minimised: reconstruction error + the sum of the terms by their weights + the anchors' terms.

    Parameters
    ----------
    says : str
        What it is, in one sentence, with its source.
    settings : type of Record
        Its own settings, with their defaults; a field's description is the option's help.
    terms : tuple of Term
        Beside ``reconstruction`` and ``kl``, which are always computed. A term called ``kl`` gives the weight of the KL
        divergence; without one it is not a part of the loss.
    measure : callable, optional
        A `Posterior` to the terms that are means over a batch, by name, each of shape () or (n_models,).
    derive : callable, optional
        The step's terms, the settings and the number of passes over the data done to terms that follow from them.
    """

    says: str
    settings: type[Record]
    terms: tuple[Term, ...]
    measure: Callable[[Posterior], Mapping[str, Tensor]] | None = None
    derive: Callable[[Terms, Any, float], Mapping[str, Tensor]] | None = None

    @property
    def has_beta(self) -> bool:
        """Whether the KL divergence is a part of the loss, by the training's ``beta``."""
        return any(term.name == "kl" for term in self.terms)


class NoSettings(Record):
    """An objective without settings of its own."""


objectives: Registry[Objective] = Registry("objective", "rosetta.objectives.kinds", group="rosetta.objectives")


ANCHOR_TERMS = (
    Term(
        "anchor_error",
        "Anchor error",
        lambda training, own: 0.0,
        unit="latent units, squared",
        over="anchors",
        advice="a smaller `lr`, `clip=1`, or a larger `anchor_tolerance`",
    ),
    Term("anchor_decoder", "Anchors decoded", lambda training, own: training.anchor_decoder_weight, over="anchors"),
    Term("anchor_spread", "Anchors' spread", lambda training, own: training.anchor_spread_weight, over="anchors"),
    Term("anchor_elbo", "Anchors' negative ELBO", lambda training, own: training.anchor_elbo_weight, over="anchors"),
)  # the first one's weight is given or held: `rosetta.objectives.dual_weight`


def beta(training: Any, own: Any) -> float:
    """Return the weight of the KL divergence that the training's settings give."""
    return float(training.beta)


KL = Term(
    "kl", "KL divergence, nats an item", beta, is_of_elbo=True, is_annealed=True,
    advice="a smaller `lr`, `clip=1`, or `kl_anneal=10`, so that the posterior is not pulled at once",
)  # fmt: skip
