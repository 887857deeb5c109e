"""The table of a study: for people in Markdown, for programs as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from rosetta.schemas.study import Over, StudyData, StudyRow
from rosetta.studies.rows import TARGET

HEADER = (
    "points", "fvu", "fvu_mapped", "reconstruction", "change", "sender's", "DCR", "verdict", "members",
    "file", "runs", "target",
)  # fmt: skip
COLUMNS = (
    "data", "name", "origin", "points", "draw", "residuals", "mix", "tolerance", "decoder_weight", "free_dims",
    "n_replicates",
    "fvu", "fvu_low", "fvu_high", "fvu_mapped", "fvu_mapped_low", "fvu_mapped_high",
    "reconstruction", "reconstruction_low", "reconstruction_high", "change",
    "sender_reconstruction", "sender_reconstruction_low", "sender_reconstruction_high",
    "nearest_ratio_min", "nearest_ratio_median", "verdict", "members", "n_bytes", "is_target_met", "impossible",
)  # fmt: skip
EXPLANATION = """\
Medians over runs, which differ by seed alone, and the first and last quartile in brackets. *fvu*, *fvu_mapped*:
fraction of variance unexplained of the sender's held-out latents by the receiver's encoder, as they are and after a
linear map.
*reconstruction*: squared error of the receiver's held-out items, summed over an item, and its *change* against the
median without anchors; *sender's*: the same of the sender's held-out items. *DCR*: normalised distance to
closest record, smallest and median: from a point to its nearest private item, in units of the typical distance of a
private item to its nearest other one.
*members*: smallest number of items behind a point."""


def as_csv(rows: Sequence[StudyRow]) -> str:
    """Return a line for each row; what is not known is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        flat: dict[str, object] = {}
        for name, value in (*row.cell, *row):
            if isinstance(value, Over):
                flat |= {name: value.median, f"{name}_low": value.low, f"{name}_high": value.high}
            elif name in COLUMNS:
                flat[name] = value
        writer.writerow(flat)
    return text.getvalue()


def as_markdown(data: Sequence[StudyData], rows: Sequence[StudyRow]) -> str:
    """Return a heading, the settings and a table for each data set, and the target."""
    parts = [EXPLANATION]
    for each in data:
        mine = [cells_of(row) for row in rows if row.data == each.name]
        lines = ["| " + " | ".join(line) + " |" for line in (HEADER, ["---"] * len(HEADER), *mine)]
        parts += [f"### {each.name}", settings_of(each), "\n".join(lines)]
    return "\n\n".join([*parts, *outcome(data, rows)]) + "\n"


def settings_of(data: StudyData) -> str:
    """Return in a sentence what the models of a data set were trained on, and how."""
    chosen = data.training
    layers = "–".join(str(size) for size in chosen.hidden or ())
    return (
        f"Items of shape {' × '.join(map(str, data.shape))}: {data.n_sender:,} of the sender's and "
        f"{data.n_receiver:,} of the receiver's, {data.n_sender_held_out:,} and {data.n_receiver_held_out:,} held out. "
        f"Hidden layers {layers}, {chosen.latent_dim} latent dimensions, {chosen.epochs} epochs for the sender and "
        f"{chosen.receiver_epochs} for receivers. Anchors are held at a tolerance of 0.03 where nothing else is said."
    )


def outcome(data: Sequence[StudyData], rows: Sequence[StudyRow]) -> list[str]:
    """Return a paragraph with the target, and one for each data set with the cells that meet it."""
    found = [f"The target: {TARGET}."]
    for each in data:
        known = [row for row in rows if row.data == each.name and row.is_target_met is not None]
        met = [title(row) for row in known if row.is_target_met]
        if not known:
            found.append(f"{each.name}: not known yet.")
        else:
            found.append(
                f"{each.name}: met by {len(met)} of {len(known)} cells" + (f": {', '.join(met)}." if met else ".")
            )
    return found


def cells_of(row: StudyRow) -> list[str]:
    """Return a row as text, one for each title of `HEADER`."""
    if row.impossible is not None:
        reason = " ".join(row.impossible.split()).replace("|", "/")
        return [title(row), f"impossible: {reason}", *[""] * (len(HEADER) - 2)]
    ratios = (row.nearest_ratio_min, row.nearest_ratio_median)
    return [
        title(row),
        _figure(row.fvu),
        _figure(row.fvu_mapped),
        _figure(row.reconstruction),
        "–" if row.change is None or row.cell.origin == "none" else f"{100 * row.change:+.1f} %".replace("-", "−"),
        _figure(row.sender_reconstruction),
        " / ".join("–" if ratio is None else f"{ratio:.2f}" for ratio in ratios) if row.verdict else "–",
        row.verdict or "–",
        "–" if row.members is None else str(row.members),
        "–" if row.n_bytes is None else _size(row.n_bytes),
        str(row.n_replicates),
        {True: "met", False: "no", None: "–"}[row.is_target_met],
    ]


def title(row: StudyRow) -> str:
    """Return the cell in words."""
    cell = row.cell
    if cell.origin == "none":
        return "no anchors"
    ways = [cell.draw or "", "with residuals" if cell.residuals else "", f"of {cell.mix}" if cell.mix else ""]
    ways += [f"tolerance {cell.tolerance:g}" if cell.tolerance != 0.03 else ""]
    ways += [f"decoder weight {cell.decoder_weight:g}" if cell.decoder_weight else ""]
    ways += [f"{cell.free_dims} free dimensions" if cell.free_dims else ""]
    return ", ".join([f"{cell.origin} {cell.points:,}", *(way for way in ways if way)])


def _figure(over: Over | None) -> str:
    if over is None:
        return "–"
    digits = 3 if over.median < 3 else 1
    return f"{over.median:.{digits}f} ({over.low:.{digits}f}–{over.high:.{digits}f})"


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.1f} MiB" if n_bytes >= 2**20 else f"{n_bytes / 2**10:.0f} KiB"
