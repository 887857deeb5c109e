"""The sender's words that have a form: names of people, licences."""

from __future__ import annotations

import re

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from rosetta.errors import UsageError
from rosetta.schemas.manifest import Creator

ORCID = re.compile(r"[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X]")


def parse_creator(text: str) -> Creator:
    """Read ``NAME[; orcid=…][; affiliation=…]``, or raise UsageError.

    Examples
    --------
    >>> parse_creator("Ada Lovelace; orcid=0000-0002-1825-0097").orcid
    '0000-0002-1825-0097'
    """
    name, *rest = (part.strip() for part in text.split(";"))
    fields = dict(part.split("=", 1) for part in rest if "=" in part)
    is_odd = any(part.partition("=")[0] not in ("orcid", "affiliation") or part.endswith("=") for part in rest)
    if is_odd or not name or len(fields) < len(rest) or not ORCID.fullmatch(fields.get("orcid", "0000-0000-0000-0000")):
        raise UsageError(
            f"cannot read the creator {text!r}: write 'NAME', or 'NAME; orcid=0000-0002-1825-0097; affiliation=LAB'"
        )
    return Creator(name=name, orcid=fields.get("orcid"), affiliation=fields.get("affiliation"))


def parse_licence(text: str) -> str:
    """Return an SPDX licence expression in its canonical form, or raise UsageError.

    Examples
    --------
    >>> parse_licence("cc-by-4.0 or mit")
    'CC-BY-4.0 OR MIT'
    """
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression as error:
        raise UsageError(
            f"{text!r} is not an SPDX licence expression; write CC-BY-4.0 or CC0-1.0, for example"
        ) from error
