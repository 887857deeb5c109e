"""The steward's page is one file that runs nothing, and says what was found."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from rosetta.schemas.audit import AttackResult, AuditReport, DisclosureAudit, Finding, OriginAudit, PrivacyAccount
from rosetta.schemas.manifest import Creator

from rosetta.disclosure.page import KEEP_IN, steward_page
from tests import builders

EVIL = "<script>alert(1)</script><img src=x onerror=\"y\"> & 'quotes' \u202e"


def origin(**changes: Any) -> OriginAudit:
    fields: dict[str, Any] = {
        "origin": "decoded", "n_points": 20, "n_copies": 0, "n_near_copies": 1, "nearest_ratio_min": 0.4,
        "nearest_ratio_median": 1.1, "n_rare_exposed": 0, "verdict": "close to items", "reasons": ("1 of 20 <points>",),
    }  # fmt: skip
    return OriginAudit(**(fields | changes))


def attack(**changes: Any) -> AttackResult:
    fields: dict[str, Any] = {
        "attack": "nearest <point>", "origin": "decoded", "knows": "bundle", "n_members": 100, "n_outsiders": 100,
        "auc": 0.7, "low": 0.62, "high": 0.76, "p_value": 1e-8, "caught_at_1_percent": 0.05, "caught_low": 0.02,
        "caught_high": 0.2, "caught_p_value": 0.01,
    }  # fmt: skip
    return AttackResult(**(fields | changes))


def report(*origins: OriginAudit, **changes: Any) -> AuditReport:
    audit = DisclosureAudit(
        n_items=100, n_held_out=40, typical_distance=2.5, n_rare=5, near_copies_by_chance=0.0123,
        origins=origins or (origin(),),
        attacks=(attack(), attack(attack="the model", knows="the sender's own model", is_ceiling=True, auc=0.9)),
        findings=(Finding(attack="rare features", origin="decoded", knows="bundle", what="features", n_tried=9,
                          n_found=0, reason="none of 9 features is shown"),),
        numbers_an_item=400, items_a_number=0.25,
    )  # fmt: skip
    return AuditReport(**({"bundle": "b.h5", "content_id": "0" * 64, "audit": audit} | changes))


def page(shown: AuditReport, *, words: dict[str, Any] | None = None, **more: Any) -> str:
    return steward_page(shown, builders.manifest(builders.arrays(), **(words or {})), **more)


def words_of(text: str) -> str:
    body = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


class Tags(HTMLParser):
    """Collects tags and attributes, and makes sure that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_what_strangers_wrote_is_shown_and_does_nothing():
    words = {"title": EVIL, "description": EVIL, "creators": (Creator(name=EVIL, affiliation=EVIL),)}
    words |= {"license": EVIL, "terms_of_use": EVIL}

    text = page(report(bundle=EVIL, violations=(EVIL,)), words=words, policy=EVIL, notes=[EVIL], picture=b"PNG")

    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    harmless = re.split(" ", "html head meta title style body h1 h2 div p b table tr th td ul li img")
    assert {tag for tag, _ in tags.seen} <= set(harmless)
    assert [attrs["src"] for tag, attrs in tags.seen if tag == "img"] == ["data:image/png;base64,UE5H"]
    assert not any(name.startswith("on") or name == "href" for _, attrs in tags.seen for name in attrs)
    assert text.count("&lt;script&gt;") >= 9
    assert "\u202e" not in text
    assert re.search("https?:", text) is None


def test_the_worst_verdict_stands_first_and_each_origin_has_its_own():
    text = words_of(page(report(origin(origin="averaged", verdict="no item found", members=7), origin())))

    assert text.index("Verdict: close to items.") < text.index("The file")
    assert text.index("Averaged points") < text.index("Verdict: no item found.") < text.index("Decoded points")
    assert "1 of 20 &lt;points&gt;" in text
    assert "1.23 % would be so by chance" in text
    assert "items behind a point 7" in text


def test_an_attack_is_told_as_what_somebody_could_do_how_well_and_compared_with_what():
    text = words_of(page(report()))

    assert "Somebody who has this file and nothing else" in text
    assert "says which is which correctly in 70 of 100 cases (62 to 76), where guessing gives 50" in text
    assert "they find 5.0 of 100 items of the data, where guessing finds 1. This tells who was in the data." in text
    assert "Somebody who has the sender's own model, which is not in the file" in text.replace("&#x27;", "'")
    assert "correctly in 90 of 100 cases" in text
    assert "nearest &lt;point&gt;" in text
    assert "for certain" not in text
    assert "for certain" in words_of(page(report(origin(verdict="holds items"))))


def test_more_than_chance_but_little_is_told_from_chance():
    def told(**changes: Any) -> str:
        audit = report().audit.model_copy(update={"attacks": (attack(**changes),)})
        return words_of(page(report(audit=audit)))

    assert "more than chance, but too little to recognise somebody by" in told(auc=0.53, low=0.52, p_value=1e-6)
    assert "no more than chance gives, as 1 attacks were tried" in told(auc=0.53, low=0.49, p_value=0.04)


def test_weights_that_prove_who_was_not_there_are_told():
    audit = report().audit.model_copy(update={"attacks": (attack(figures={"outsiders_in_empty_cells": 0.84}),)})

    assert "84 of 100 outsiders are nearest to a pair that has none: this proves" in words_of(page(report(audit=audit)))
    assert "this proves" not in words_of(page(report()))


def test_people_are_called_so_where_they_are_the_unit():
    audit = report().audit.model_copy(update={"attacks": (attack(unit="group"),), "n_groups": 12})

    text = words_of(page(report(audit=audit)))

    assert "The items are of 12 groups, such as persons" in text
    assert "is shown one person (or other group of items) of the data beside one that was not in it" in text


def test_few_items_for_their_numbers_are_the_headline_and_what_else_was_tried_is_told():
    text = words_of(page(report()))

    assert "The data has 100 items of 400 numbers each: 0.25 items for each number. With fewer items than" in text
    assert "Rare features of the decoded points: None of 9 features is shown." in text


def test_the_page_says_what_it_does_not_know():
    without = report().audit.model_copy(update={"attacks": (), "n_held_out": 0})
    unjudged = report(origin(verdict="not judged"), audit=without)
    unjudged = unjudged.model_copy(
        update={"audit": without.model_copy(update={"origins": (origin(verdict="not judged"),)})}
    )
    tested, untested = words_of(page(report())), words_of(page(unjudged))

    assert "This was not tested." in untested
    assert "Verdict: not judged." in untested
    assert "nobody has tested whether somebody can tell who was in the data" in untested
    assert "This was not tested." not in tested
    for text in (tested, untested):
        assert "None of this is differential privacy" in text
        assert "safe" not in text.lower()


def test_differential_privacy_is_told_where_there_is_an_account():
    account = PrivacyAccount(
        origin="moments", epsilon=3, delta=1e-6, neighbours="replace one item", norm_bound=4, noise_sds={"mean": 0.1},
        mechanism="Gaussian noise", statement="Labels are not covered.",
    )  # fmt: skip

    text = words_of(page(report(), privacy=[account]))

    assert "epsilon 3, delta 1e-06, between data sets that differ in one item" in text
    assert "Labels are not covered." in text
    assert "None of this is differential privacy" not in text


def test_a_page_with_private_items_says_that_it_must_stay():
    assert page(report(), picture=b"x").count(KEEP_IN) == 2
    assert KEEP_IN not in page(report())


def test_a_policy_is_kept_or_broken():
    assert "The file keeps to the policy p.toml." in page(report(), policy="p.toml")
    assert "breaks the policy p.toml" in page(report(violations=("members = 9",)), policy="p.toml")
    assert "policy" not in words_of(page(report()))
