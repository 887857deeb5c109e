"""Notes are told as they come, and are part of the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rosetta.schemas.reports import EmbedReport

from rosetta import embed
from rosetta.notes import keeps_notes
from tests.conftest import Lab


@keeps_notes
def _verb(*, on_note: Callable[[str], None] = lambda note: None) -> EmbedReport:
    on_note("pass more items (`held_out`)")
    return EmbedReport(latents="z.npy", n_items=1, n_dims=1, rows_per_s=1.0, notes=("known before",))


def test_a_report_has_the_notes_that_the_listener_heard():
    heard: list[str] = []

    told, alone = _verb(on_note=heard.append), _verb()

    assert heard == ["pass more items (`held_out`)"]
    assert told.notes == alone.notes == ("known before", *heard)


def test_embed_reports_what_it_notes(lab: Lab, tmp_path: Path):
    heard: list[str] = []

    report = embed(lab.run, lab.train, tmp_path / "z.npy", on_note=heard.append)

    assert report.notes == tuple(heard)
