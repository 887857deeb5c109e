"""The decisions about the format: every page is listed, short, and has the same four parts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SPEC = Path(__file__).parents[1] / "spec"
PAGES = sorted((SPEC / "decisions").glob("[0-9]*.md"))
LIST = (SPEC / "decisions" / "README.md").read_text("utf-8")
PARTS = ["Context", "Decision", "Rejected", "Consequences"]


def test_the_list_names_every_page_with_its_title_in_order():
    titles = [path.read_text("utf-8").splitlines()[0].removeprefix("# ") for path in PAGES]

    assert re.findall(r"^- \[(.+)\]\((.+)\)$", LIST, re.MULTILINE) == list(
        zip(titles, [path.name for path in PAGES], strict=True)
    )


def test_the_pages_are_numbered_from_1():
    assert [path.name[:4] for path in PAGES] == [f"{number:04}" for number in range(1, len(PAGES) + 1)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_short_and_has_the_four_parts(page):
    text = page.read_text("utf-8")

    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS
    assert all(part.strip() for part in re.split(r"^#.*$", text, flags=re.MULTILINE)[2:])
    assert text.startswith(f"# {page.name[:4]} ")
    assert len(text.splitlines()) <= 40


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_refers_to_pages_that_there_are(page):
    numbers = set(re.findall(r"(?<!U\+)\b(0\d{3})\b", page.read_text("utf-8")))

    assert numbers <= {path.name[:4] for path in PAGES}


def test_the_specification_leads_to_every_page():
    text = (SPEC / "bundle-1.0.md").read_text("utf-8")

    assert re.findall(r"\(decisions/(.+?\.md)\)", text) == [path.name for path in PAGES]
