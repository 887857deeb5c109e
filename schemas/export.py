"""JSON Schemas of the records, generated: the records are the only source."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rosetta.schemas import audit, metrics, objectives, policy, program, reports, run, signature, study, tre, validation
from rosetta.schemas.manifest import Manifest
from rosetta.schemas.record import Record

DOCUMENTS: dict[str, type[Record]] = {
    "manifest": Manifest,
    "config": run.RunConfig,
    "run": run.RunRecord,
    "runs": run.RunSet,
    "program": program.ProgramRecord,
    "signature": signature.Envelope,
    "statement": signature.Statement,
    "trust": signature.TrustFile,
    "train": reports.TrainReport,
    "train-several": reports.RunSetReport,
    "distill": reports.DistillReport,
    "audit": audit.AuditReport,
    "disclosure": audit.Disclosure,
    "tre": tre.TreReport,
    "policy": policy.Policy,
    "study": study.StudyReport,
    "study-settings": study.StudySettings,
    "validate": validation.ValidationReport,
    "validate-several": validation.ValidationSummary,
    "rules": validation.RuleCatalogue,
    "objectives": objectives.ObjectiveCatalogue,
    "inspect": reports.InspectReport,
    "migrate": reports.MigrateReport,
    "embed": reports.EmbedReport,
    "export": program.ExportReport,
    "check": reports.CheckReport,
    "compare": reports.CompareReport,
    "metrics": metrics.MetricCatalogue,
    "keygen": signature.KeygenReport,
    "sign": signature.SignReport,
    "verify": signature.VerifyReport,
    "demo": reports.DemoReport,
}
# the others are only written
READ = ("manifest", "config", "run", "runs", "program", "signature", "statement", "trust", "policy", "study-settings")


def documents() -> dict[str, str]:
    """Return the JSON Schema (2020-12) of every document, as text by file name."""
    return {f"{name}.schema.json": _text(name, record) for name, record in DOCUMENTS.items()}


def _text(name: str, record: type[Record]) -> str:
    schema = record.model_json_schema(mode="validation" if name in READ else "serialization")
    _close(schema)
    if name == "manifest":
        _without_null(schema)
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2) + "\n"


def _close(node: object) -> None:
    """Refuse keys that no pattern allows: pydantic does, but its schemas leave them open."""
    for each in _objects(node):
        if "patternProperties" in each:
            each["additionalProperties"] = False


def _without_null(schema: dict[str, Any]) -> None:
    """Refuse null, as a manifest does everywhere: what is absent is left out."""
    for each in _objects(schema):
        if "anyOf" in each:
            each["anyOf"] = [kind for kind in each["anyOf"] if kind != {"type": "null"}]
        if "default" in each and each["default"] is None:
            del each["default"]
    value = {"$ref": "#/$defs/JsonValue"}
    schema["$defs"]["JsonValue"] = {
        "anyOf": [
            {"type": ["string", "number", "boolean"]},
            {"type": "array", "items": value},
            {"type": "object", "additionalProperties": value},
        ]
    }


def _objects(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _objects(child)
