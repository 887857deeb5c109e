"""What a sweep is decided by: a figure with a direction, a limit for the anchors' error, and the mean over seeds."""

from __future__ import annotations

import difflib
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rosetta.errors import UsageError
from rosetta.runs.configure import value_of
from rosetta.schemas.run import FinalFigures, RunEntry, TrainSettings
from rosetta.training.loop import OVERSHOOT_RATIO

AnchorLimit = float | Literal["auto"] | None


@dataclass(frozen=True)
class Criterion:
    """A figure of a trained model."""

    name: str
    is_better: Literal["higher", "lower"]
    of: Callable[[FinalFigures, TrainSettings], float | None]


CRITERIA = {
    each.name: each
    for each in (
        Criterion("validation-elbo", "higher", lambda final, settings: final.elbo),
        Criterion("validation-loss", "lower", lambda f, settings: f.reconstruction + settings.beta * f.kl),
        Criterion("validation-reconstruction", "lower", lambda final, settings: final.reconstruction),
        Criterion("anchor-rms", "lower", lambda final, settings: final.anchor_rms),
    )
}


@dataclass(frozen=True)
class RankingRule:
    """A criterion, among models whose anchor error is within a limit.

    The ELBO alone would always choose the weakest anchors: they only ever cost some. Within the limit it says which
    of the models that are in the shared space is the best one.

    Parameters
    ----------
    limit : float or None
        Largest anchor error, as a share of the space's total standard deviation; None takes every model.
    """

    criterion: Criterion
    limit: float | None

    def __str__(self) -> str:
        """Say it in words."""
        text = f"{self.criterion.name}, {self.criterion.is_better} is better"
        return text if self.limit is None else f"{text}, with an anchor error of at most {self.limit:.4g}"

    def score(self, entry: RunEntry, settings: TrainSettings) -> float | None:
        """Return the figure of a run, or None if it diverged."""
        return None if entry.final is None else self.criterion.of(entry.final, settings)

    def rank(self, scores: Sequence[float | None], errors: Sequence[float | None]) -> tuple[float, ...]:
        """Return what sorts by the means of scores and anchor errors: smaller is better.

        What diverged, even with one seed of several, comes last; what exceeds the limit before that, the nearest
        first.
        """
        found = [score for score in scores if score is not None]
        if not found:
            return (3.0, 0.0)
        error = mean(errors)
        value = -statistics.fmean(found) if self.criterion.is_better == "higher" else statistics.fmean(found)
        is_beyond = self.limit is not None and error is not None and error > self.limit
        standing = 2.0 if len(found) < len(scores) else float(is_beyond)
        return (standing, error if is_beyond and error is not None else value)


@dataclass(frozen=True)
class Point:
    """A point of the grid: its runs differ by seed alone."""

    settings: Mapping[str, float | str]
    runs: tuple[RunEntry, ...]
    scores: tuple[float | None, ...]
    rank: tuple[float, ...]  # smaller is better

    @property
    def n_diverged(self) -> int:
        """Number of seeds that diverged."""
        return sum(run.final is None for run in self.runs)

    @property
    def score(self) -> float | None:
        """The mean over seeds."""
        return mean(self.scores)

    @property
    def spread(self) -> float | None:
        """The standard deviation over seeds, None unless there are two."""
        found = [score for score in self.scores if score is not None]
        return statistics.stdev(found) if len(found) > 1 else None

    @property
    def is_within(self) -> bool:
        """Whether all seeds trained, with an anchor error within the limit."""
        return self.rank[0] == 0

    def mean_of(self, figure: Callable[[FinalFigures], float | None]) -> float | None:
        """Return the mean of a final figure over seeds."""
        return mean([None if run.final is None else figure(run.final) for run in self.runs])


def make_judge(
    criterion: str | None,
    anchor_limit: AnchorLimit,
    *,
    has_anchors: bool,
    settings: TrainSettings,
    swept: Sequence[str],
) -> RankingRule:
    """Return what a sweep is decided by, or raise UsageError for what cannot decide it.

    Parameters
    ----------
    criterion : str, optional
        A name of `CRITERIA`; the held-out ELBO, which counts the KL divergence once whatever β, if it is None.
    anchor_limit : "auto", float or None
        As in `RankingRule`; ``"auto"`` is the tolerance and a quarter of it, as far as a held error may end above.
    """
    name = criterion or "validation-elbo"
    if name not in CRITERIA:
        near = difflib.get_close_matches(name, CRITERIA, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"no criterion called {name!r}.{hint} Known: {', '.join(CRITERIA)}.")
    if not has_anchors and (name == "anchor-rms" or anchor_limit != "auto"):
        what = "`criterion='anchor-rms'`" if name == "anchor-rms" else "`anchor_limit`"
        raise UsageError(f"{what} without `anchors` has no effect: pass a bundle, or leave it out")
    if name.startswith("validation") and not settings.validation:
        raise UsageError(f"`criterion={name!r}` needs held-out items: pass `validation` above 0")
    if not has_anchors or name == "anchor-rms" or anchor_limit is None:
        if name == "anchor-rms" and anchor_limit != "auto":
            raise UsageError("`anchor_limit` has no effect beside `criterion='anchor-rms'`: leave one of them out")
        return RankingRule(CRITERIA[name], None)
    if anchor_limit == "auto":
        if "anchor_tolerance" in swept:
            raise UsageError(
                "a sweep of tolerances does not say how large an anchor error may be, and the loosest would always "
                "win: pass `anchor_limit`, such as 0.05, or `anchor_limit=None` to choose by the criterion alone"
            )
        return RankingRule(CRITERIA[name], OVERSHOOT_RATIO * settings.anchor_tolerance)
    if not (isinstance(anchor_limit, int | float) and math.isfinite(anchor_limit) and anchor_limit > 0):
        raise UsageError(f"`anchor_limit` is {anchor_limit}; expected auto, none or a number above 0")
    return RankingRule(CRITERIA[name], float(anchor_limit))


def ranked(
    runs: Sequence[RunEntry], named: Mapping[str, TrainSettings], swept: Sequence[str], judge: RankingRule
) -> list[Point]:
    """Return the points of the grid, the best one first."""
    groups: dict[tuple[float | str, ...], list[RunEntry]] = {}
    for run in runs:
        groups.setdefault(tuple(value_of(named[run.name], name) for name in swept), []).append(run)
    points = []
    for values, members in groups.items():
        scores = tuple(judge.score(run, named[run.name]) for run in members)
        errors = [run.final.anchor_rms if run.final else None for run in members]
        points.append(Point(dict(zip(swept, values, strict=True)), tuple(members), scores, judge.rank(scores, errors)))
    return sorted(points, key=lambda point: point.rank)


def best_run(point: Point, named: Mapping[str, TrainSettings], judge: RankingRule) -> RunEntry:
    """Return the best of a point's seeds."""
    return min(
        point.runs,
        key=lambda run: judge.rank([judge.score(run, named[run.name])], [run.final.anchor_rms if run.final else None]),
    )


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are there, None without any."""
    found = [value for value in values if value is not None]
    return statistics.fmean(found) if found else None
