"""What an adversary does with a bundle to tell members from others, one file for each attack.

An attack scores items that were in the data and items of the same kind that were not: higher is "member". Attacks of
others are added by an entry point in the group ``rosetta.attacks``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rosetta.arrays import Floats
from rosetta.disclosure.calibration import Fit, cross_fitted
from rosetta.disclosure.components import Components, components_of
from rosetta.disclosure.search import Doubles, Singles
from rosetta.disclosure.stolen import Stolen, steal
from rosetta.registry import Registry
from rosetta.schemas.audit import Knows

Codes = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Effort:
    """How much work the attacks may do, in numbers of steps and not in seconds: the same on every machine."""

    n_rows: int = 2000  # members, and outsiders, that are scored
    n_components: int = 256  # principal components of points of more than 1,024 numbers
    n_steps: int = 120  # of training an encoder and a decoder, in all
    n_hidden: int = 128  # units of their hidden layers


FAST = Effort()  # within half of what the rest of an audit takes
THOROUGH = Effort(n_rows=5000, n_components=2048, n_steps=10_000, n_hidden=512)


@dataclass(frozen=True)
class Side:
    """Members, or outsiders."""

    inputs: Singles  # as the encoder sees them, shape (n_rows, n_numbers)
    groups: Codes  # whose each row is, shape (n_rows,); each its own where there are no groups
    latents: Floats | None = None  # what the sender's encoder gives, shape (n_rows, n_dims)
    rebuilt: Singles | None = None  # what the sender's own model makes of them, shape (n_rows, n_numbers)


@dataclass(frozen=True)
class Case:
    """What an attack is given. Each attack uses what it declares that its adversary knows, and nothing else."""

    inputs: Singles  # published, shape (n_points, n_numbers)
    latents: Floats  # published, shape (n_points, n_dims)
    weights: Floats | None  # published: the share of items nearest to each point, shape (n_points,)
    members: Side
    others: Side
    n_items: int
    effort: Effort
    seed: int

    def rng(self, number: int) -> np.random.Generator:
        """Return random numbers for a purpose."""
        return np.random.default_rng([self.seed, number])

    @cached_property
    def components(self) -> Components:
        """Principal components of the published inputs."""
        return components_of(self.inputs, self.effort.n_components, self.rng(1))

    @cached_property
    def fits(self) -> tuple[Fit, Fit] | None:
        """What each half of the outsiders have in common, and who is scored by it."""
        return cross_fitted(
            self.others.inputs, self.others.groups, self.members.groups, n_rows=self.effort.n_rows,
            n_components=self.effort.n_components, rng=self.rng(3),
        )  # fmt: skip

    @cached_property
    def stolen(self) -> Stolen:
        """An encoder and a decoder trained from the pairs."""
        return steal(
            self.inputs, self.latents, self.components, n_steps=self.effort.n_steps, n_hidden=self.effort.n_hidden,
            seed=self.seed,
        )  # fmt: skip

    @cached_property
    def stolen_latents(self) -> tuple[Singles, Singles]:
        """What the stolen encoder gives for members and for others, each of shape (n_rows, n_dims)."""
        return self.stolen.encode(self.members.inputs), self.stolen.encode(self.others.inputs)

    @cached_property
    def stolen_errors(self) -> tuple[Doubles, Doubles]:
        """Logarithms of the squared distances of members and others from what the stolen networks make of them."""
        first, second = (
            log_errors(side.inputs, self.stolen.decode(latents))
            for side, latents in zip((self.members, self.others), self.stolen_latents, strict=True)
        )
        return first, second


@dataclass(frozen=True)
class Scores:
    """Scores of members and of others, higher is "member", by one rule or by several among which data must choose."""

    members: Doubles  # shape (n_members,) or (n_members, n_rules); NaN for a row that is left out
    others: Doubles  # shape (n_others,) or (n_others, n_rules)
    figures: Mapping[str, float] = field(default_factory=dict)  # more that came out


@dataclass(frozen=True)
class Attack:
    """A way to tell members from others."""

    knows: Knows
    says: str  # what the adversary goes by, to follow "going by"
    score: Callable[[Case], Scores | None]  # None: it needs what there is not
    of_bundle: bool = False  # whether it is one attack on all points, whatever their origins
    is_ceiling: bool = False  # not an attack on the bundle: for comparison only


attacks: Registry[Attack] = Registry("attack", "rosetta.disclosure.attacks")


def attack(
    name: str, *, knows: Knows, says: str, of_bundle: bool = False, is_ceiling: bool = False
) -> Callable[[Callable[[Case], Scores | None]], Callable[[Case], Scores | None]]:
    """Return a decorator that registers a function from a case to scores as an attack."""

    def add(score: Callable[[Case], Scores | None]) -> Callable[[Case], Scores | None]:
        attacks.register(name)(Attack(knows, says, score, of_bundle, is_ceiling))
        return score

    return add


def log_errors(inputs: Singles, rebuilt: Singles) -> Doubles:
    """Return the logarithm of the squared distance of each row from another, shape (n_rows,)."""
    gaps = (inputs - rebuilt).astype(np.float64)
    return np.asarray(np.log(np.einsum("ij,ij->i", gaps, gaps) + 1e-30))
