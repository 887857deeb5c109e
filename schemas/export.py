"""JSON Schemas of the records, generated: the records are the only source."""

from __future__ import annotations

import json

from rosetta.schemas import reports, run
from rosetta.schemas.manifest import Manifest
from rosetta.schemas.record import Record

DOCUMENTS: dict[str, type[Record]] = {
    "manifest": Manifest,
    "config": run.RunConfig,
    "run": run.RunRecord,
    "train": reports.TrainReport,
    "distill": reports.DistillReport,
    "validate": reports.ValidationReport,
    "inspect": reports.InspectReport,
    "embed": reports.EmbedReport,
    "check": reports.CheckReport,
    "compare": reports.CompareReport,
    "demo": reports.DemoReport,
}


def documents() -> dict[str, str]:
    """Return the JSON Schema (2020-12) of every document, as text by file name."""
    return {f"{name}.schema.json": _text(name, record) for name, record in DOCUMENTS.items()}


def _close(node: object) -> None:
    """Refuse keys that no pattern allows: pydantic does, but its schemas leave them open."""
    if isinstance(node, dict):
        if "patternProperties" in node:
            node["additionalProperties"] = False
        for child in node.values():
            _close(child)
    elif isinstance(node, list):
        for child in node:
            _close(child)


def _text(name: str, record: type[Record]) -> str:
    schema = record.model_json_schema(mode="validation" if name in ("manifest", "config", "run") else "serialization")
    _close(schema)
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2) + "\n"
