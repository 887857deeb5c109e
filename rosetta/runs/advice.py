"""What to do when anchors miss their tolerance, or hold less than they seem to: from a run's own figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from rosetta.runs.records import Row
from rosetta.schemas.reports import TrainReport
from rosetta.schemas.run import RunConfig, TrainSettings
from rosetta.training.loop import OVERSHOOT_RATIO

STILL_FALLS = 0.05  # share that the error falls by, from one fifth of the epochs to the last
FEWEST_EPOCHS = 3  # in such a fifth
FREE_DIMS = 8
GENERALISES = 2.0  # times the anchors' error, up to which that of the check pairs is as expected
COST_THRESHOLD = 0.1  # share of the KL divergence that twice the tolerance would give back


def guidance(report: TrainReport, config: RunConfig, rows: Sequence[Row], *, total_sd: float) -> list[str]:
    """Return what the user should know of the anchors, one note for each thing that went wrong; none if all went well.

    Parameters
    ----------
    report : TrainReport
        The training.
    config : RunConfig
        Its settings, resolved.
    rows : sequence of mapping
        Its metrics.csv, all epochs.
    total_sd : float
        Total standard deviation of the space, in latent units.
    """
    final, settings = report.final, config.settings
    if final.anchor_rms is None:
        return []
    notes = []
    is_held = settings.anchor_weight == "auto"
    if is_held and final.anchor_rms > OVERSHOOT_RATIO * settings.anchor_tolerance:
        found = f"the anchor error is {final.anchor_rms:.3f}, above the tolerance of {settings.anchor_tolerance:g}"
        notes.append(f"{found}{_what_to_do(report, config, rows)}")
    least = OVERSHOOT_RATIO * settings.anchor_tolerance if is_held else 0.0
    if final.check_rms is not None and final.check_rms > max(least, GENERALISES * final.anchor_rms):
        n_anchors = sum(source.n_pairs for source in report.anchors)
        notes.append(
            f"the check pairs, which no step saw, are off by {final.check_rms:.3f}, "
            f"{final.check_rms / max(final.anchor_rms, 1e-9):.1f} times as much as the {n_anchors:,} anchors: these "
            f"are too few to tie the space down between them. Ask the sender for more points, such as {4 * n_anchors:,}"
        )
    price = _price(rows, total_sd) if is_held else 0.0
    if price > COST_THRESHOLD * final.kl:
        notes.append(
            f"the tolerance costs: twice of it would give back up to about {price:.2g} nats an item of the training "
            f"loss, by the weight that holds it ({report.final_anchor_weight:.3g}); free dimensions may pay for it "
            f"(`latent_dim={config.latent_dim + FREE_DIMS}`)"
        )
    return notes


def _price(rows: Sequence[Row], total_sd: float) -> float:
    """Return about how much twice the tolerance would give back of the loss, in nats an item; 0 if nothing is settled.

    A held weight is the multiplier of a constraint on the squared error: the loss falls by weight · squared error for
    each e-fold that this is allowed to grow by. On digits it fell by less and less, so that the figure errs upwards.
    """
    n_last = len(rows) // 5
    if n_last < FEWEST_EPOCHS:
        return 0.0
    last, before = (_mean("anchor_rms", rows[start:][:n_last]) for start in (-n_last, -2 * n_last))
    if abs(last - before) > STILL_FALLS * before:
        return 0.0
    return 2 * math.log(2) * _mean("anchor_weight", rows[-n_last:]) * (last * total_sd) ** 2


def _what_to_do(report: TrainReport, config: RunConfig, rows: Sequence[Row]) -> str:
    """Return the rest of the note on a tolerance that was missed: why, as the last epochs tell, and what to try."""
    settings, n_last = config.settings, len(rows) // 5
    if n_last < FEWEST_EPOCHS:
        return f" after {report.epochs:,} epochs: train longer ({_longer(report, settings)})"
    last, before = (_mean("anchor_rms", rows[start:][:n_last]) for start in (-n_last, -2 * n_last))
    if last <= OVERSHOOT_RATIO * settings.anchor_tolerance and settings.lr_schedule == "constant":
        return (
            f", but it was {last:.3f} on average over the last {n_last} epochs: it swings from step to step. A "
            "learning rate that falls lets it settle (`lr_schedule='cosine'`)"
        )
    if last < (1 - STILL_FALLS) * before:
        return (
            f", and still falling, by {1 - last / before:.0%} over the last {n_last} epochs: train longer "
            f"({_longer(report, settings)})"
        )
    weights = [_mean("anchor_weight", rows[start:][:n_last]) for start in (-n_last, -2 * n_last)]
    though = f", though the weight rose from {weights[1]:.3g} to {weights[0]:.3g}" if weights[0] > weights[1] else ""
    return (
        f", and no longer falls ({before:.3f}, then {last:.3f} over the last {n_last} epochs{though}): the network "
        f"does not place the anchors and model your data alike. Give it free dimensions "
        f"(`latent_dim={config.latent_dim + FREE_DIMS}`) or wider layers{_wider(settings)}, or accept what was reached "
        f"(`anchor_tolerance={_rounded_up(report.final.anchor_rms or 0.0):g}`)"
    )


def _longer(report: TrainReport, settings: TrainSettings) -> str:
    if settings.patience is not None and report.epochs < settings.epochs:
        return f"`patience={2 * settings.patience}`; it stopped early"
    return f"`epochs={2 * settings.epochs}`"


def _wider(settings: TrainSettings) -> str:
    return f" (`hidden={[2 * size for size in settings.hidden]}`)" if settings.hidden else ""


def _rounded_up(number: float) -> float:
    """Return the number with two digits, rounded up."""
    unit = 10.0 ** (math.floor(math.log10(number)) - 1)
    return math.ceil(number / unit - 1e-9) * unit


def _mean(name: str, rows: Sequence[Mapping[str, float | int | None]]) -> float:
    return fmean(float(row[name] or 0.0) for row in rows)
