"""`study.toml`: which cells, and how the models are trained."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from pydantic import ValidationError

from rosetta.errors import SourceError, UsageError
from rosetta.files import read_small
from rosetta.schemas.study import StudySettings


def read_settings(path: Path) -> StudySettings:
    """Read the settings of a study.

    Raises
    ------
    SourceError
        If there is no such file, or it is no TOML.
    UsageError
        With every setting that is unknown or out of range.
    """
    try:
        values = tomllib.loads(read_small(path, limit=1 << 20, what="a TOML file of settings").decode())
        return StudySettings.model_validate_json(json.dumps(values))
    except FileNotFoundError as error:
        raise SourceError(f"there is no file {path}: check the path, or the folder that you are in") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError) as error:  # TypeError: a date is no JSON
        raise SourceError(f"{path} is no TOML file of settings: {error}") from error
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, each['loc']))}: {each['msg'].lower()}" for each in error.errors(include_url=False)
        ]
        raise UsageError(f"{path} cannot be used:\n  - " + "\n  - ".join(problems)) from error
