"""The records are the only source of the JSON Schemas, and both refuse the same documents."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, Unpack, get_args, get_origin, get_type_hints

import jsonschema
import pytest
import rfc8785
from rosetta.schemas.export import DOCUMENTS, documents

import rosetta
from rosetta.bundle.manifest import as_json, parse_json, validate_schema
from rosetta.errors import BundleError
from tests import builders, generated_settings
from tests.conftest import Lab
from tests.generated import files

# that a range starts below its end is a relation between two values
BEYOND_JSON_SCHEMA = {"number content/input/value_range/0", "negative content/input/value_range/1"}
SCHEMAS = {name: json.loads(text) for name, text in documents().items()}


def test_generated_files_are_up_to_date():
    stale = [path.name for path, text in files().items() if not path.exists() or path.read_text() != text]

    assert not stale, "run make generate"


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_schema_is_one(name: str):
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


def test_real_documents_fit_their_schemas(lab: Lab):
    reports = {
        "manifest": as_json(rosetta.Bundle.open(lab.decoded).manifest),
        "validate": rosetta.validate(lab.observed),
        "inspect": rosetta.inspect(lab.observed)[0],
        "check": rosetta.check(lab.run, lab.observed),
        "compare": rosetta.compare(lab.run, lab.run, data=lab.held_out),
        "config": json.loads((lab.run / "config.json").read_text()),
        "run": json.loads((lab.run / "run.json").read_text()),
    }

    for name, document in reports.items():
        text = json.dumps(document) if isinstance(document, dict) else document.model_dump_json()
        jsonschema.validate(json.loads(text), SCHEMAS[f"{name}.schema.json"])
        DOCUMENTS[name].model_validate_json(text)


def _mutants() -> Iterator[tuple[str, dict[str, Any]]]:
    """Manifests that are wrong in one place: each key removed, added to, or given a value of another kind."""
    good = as_json(builders.manifest(builders.arrays()))

    def visit(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        yield path
        for key, child in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
            yield from visit(child, (*path, key))

    for path in visit(good, ()):
        for change in ("remove", "extra", "null", "text", "number", "negative", "list"):
            mutant = copy.deepcopy(good)
            parent = mutant
            for key in path[:-1]:
                parent = parent[key]
            if not path:
                continue
            if change == "remove":
                del parent[path[-1]]
            elif change == "extra":
                if not isinstance(parent[path[-1]], dict):
                    continue
                parent[path[-1]]["surprise"] = 1
            else:
                parent[path[-1]] = {"null": None, "text": "", "number": 1.5, "negative": -7, "list": [[]]}[change]
            yield f"{change} {'/'.join(map(str, path))}", mutant


def test_records_and_schema_refuse_the_same_manifests():
    validator = jsonschema.Draft202012Validator(SCHEMAS["manifest.schema.json"])
    different, n_refused = [], 0
    for name, mutant in _mutants():
        try:
            text = rfc8785.dumps(mutant)
            parse_json(text)
            accepted = validate_schema(text)[1] is not None
        except BundleError:
            accepted = False
        n_refused += not accepted
        if accepted != validator.is_valid(mutant):
            different.append(name)

    assert n_refused > 300
    assert set(different) == BEYOND_JSON_SCHEMA


@pytest.mark.parametrize("name", ["train", "distill"])
def test_the_command_line_has_an_option_for_every_setting_and_shows_its_default(name: str):
    from rosetta.cli import settings_table

    record = generated_settings.RECORDS[name]
    table = {each.name: each for each in getattr(settings_table, name.upper())}

    fields = {each: field for each, field, _ in generated_settings.fields_of(name, record)}
    assert table.keys() == fields.keys()
    for each, field in fields.items():
        shown, default = table[each].shown, field.default
        if isinstance(default, bool):
            assert shown == ("" if default else "no-") + each.replace("_", "-") or table[each].is_flag
        elif isinstance(default, int | float):
            assert float(shown) == default, each
        elif isinstance(default, str):
            assert shown == default, each


@pytest.mark.parametrize(("verb", "record"), [("train", "train"), ("sweep", "train"), ("distill", "distill")])
def test_the_keywords_of_a_verb_are_the_fields_of_its_settings(verb: str, record: str):
    options = get_type_hints(getattr(rosetta, verb), include_extras=True)["settings"]

    assert get_origin(options) is Unpack
    fields = {each for each, _, _ in generated_settings.fields_of(record, generated_settings.RECORDS[record])}
    assert get_type_hints(get_args(options)[0]).keys() == fields
