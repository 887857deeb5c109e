"""Files that are made from the code: JSON Schemas, the rule catalogue, and settings as options and as keywords.

Run: python -m tests.generated           writes them
     python -m tests.generated --check   exits with 1 if one is out of date
"""

from __future__ import annotations

import sys
from pathlib import Path

from rosetta.cli.parameters import as_options
from rosetta.schemas.export import documents

from rosetta.rules import catalogue
from tests import generated_settings

ROOT = Path(__file__).parents[1]


def files() -> dict[Path, str]:
    """Return every generated file's text by its path."""
    schemas = {ROOT / "schemas" / "1.0" / name: text for name, text in documents().items()}
    return {
        **schemas,
        ROOT / "spec" / "rules.md": _rules(),
        ROOT / "cli" / "settings_table.py": generated_settings.table(),
        ROOT / "schemas" / "keywords.py": generated_settings.keywords(),
    }


def _rules() -> str:
    lines = [
        "# Rules of `rosetta validate`",
        "",
        "Made from the rules themselves by `make generate`. FATAL rules stop the reading; an ERROR makes a bundle",
        "invalid; a WARNING is something that a person should know; INFO is about the report.",
        "Section numbers refer to [bundle-1.0.md](bundle-1.0.md).",
    ]
    for severity in ("fatal", "error", "warning", "info"):
        lines += [
            "",
            f"## {severity.upper()}",
            "",
            "| rule | what holds | what to do if not | section |",
            "|---|---|---|---|",
        ]
        for rule in sorted((r for r in catalogue() if r.severity == severity), key=lambda r: r.id):
            text = " ".join(rule.text.split()).replace("|", "\\|")
            lines.append(as_options(f"| {rule.id} | {text} | {rule.fix} | {rule.section} |"))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the files, or with --check compare them."""
    stale = [p for p, text in files().items() if not p.exists() or p.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date: run make generate", file=sys.stderr)
        sys.exit(1 if stale else 0)
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(files()[path])
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
