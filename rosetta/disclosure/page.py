"""The steward's page: one file of HTML that says what a bundle reveals. No scripts, nothing from elsewhere."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Sequence

from rosetta.disclosure import sentences
from rosetta.disclosure.verdicts import SEVERITY, worst_of
from rosetta.schemas.audit import AttackResult, AuditReport, DisclosureAudit, OriginAudit, PrivacyAccount, Verdict
from rosetta.schemas.manifest import Creator, Manifest

NAME = re.compile(r"`([^`\n]+)`")
MAX_TEXT = 600  # characters of a stranger's text
COLOURS: dict[Verdict, str] = {
    "holds items": "#b00020", "close to items": "#9a5b00", "not judged": "#44546a", "no item found": "#1d5f3a",
}  # fmt: skip
KEEP_IN = "This page shows private items. It must not leave the building."
STYLE = """
body { font: 16px/1.5 Georgia, serif; color: #222; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin: 2rem 0 .4rem; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #ddd; }
th { font-weight: normal; color: #555; width: 10.5rem; } td.n { white-space: nowrap; width: 6rem; font-weight: bold; }
.box { border: 2px solid; padding: .6rem 1rem; margin: 1rem 0; } .box p { margin: 0; } .box b { font-size: 1.15rem; }
.small { color: #555; font-size: .85rem; } .small, td { overflow-wrap: anywhere; } img { max-width: 100%; }
@media print { body { margin: 0; max-width: none; font-size: 11pt; } h2, tr, .box, img { break-inside: avoid; }
h2 { break-after: avoid; } }
"""


def steward_page(
    report: AuditReport,
    manifest: Manifest,
    *,
    picture: bytes | None = None,
    policy: str | None = None,
    privacy: Sequence[PrivacyAccount] = (),
    notes: Sequence[str] = (),
    claims: Sequence[str] = (),
    software: str = "Rosetta",
) -> str:
    """Return the page as HTML; whatever stands in the manifest is escaped.

    Parameters
    ----------
    report : AuditReport
        What was found.
    manifest : Manifest
        Of the bundle.
    picture : bytes, optional
        A PNG of the closest pairs, put into the page.
    policy : str, optional
        Name of the policy that `report.violations` are of.
    privacy : sequence of PrivacyAccount
        What differential privacy promises, by origin.
    notes : sequence of str
        What came up, such as data of another size.
    claims : sequence of str
        What the file says of its own privacy, and nobody but the sender vouches for.
    software : str
        Name and version of what made the page.
    """
    title = _text(manifest.provenance.title)
    parts = [
        f"<h1>What this file reveals: {title}</h1>",
        _box(KEEP_IN, "", COLOURS["holds items"]) if picture else "",
        _summary(report),
        _section("The file", _file(report, manifest)),
        _section("What was checked", _checked(report, policy)),
        *(_section(f"{found.origin.capitalize()} points", _origin(found, report)) for found in report.audit.origins),
        _section("Can somebody tell who was in the data?", _attackers(report)),
        _section("What else was tried", _findings(report)) if report.audit.findings else "",
        _section("The policy", _policy(report, policy)) if policy is not None else "",
        _section("The closest pairs", _picture(picture)) if picture else "",
        _section("Differential privacy", _list(map(sentences.privacy, privacy))) if privacy else "",
        _section("What was not checked", _list(sentences.not_checked(report.audit, is_private=bool(privacy)))),
        _section("What the sender claims", _list(claims)) if claims else "",
        _section("Notes", _list(notes)) if notes else "",
        f'<p class="small">Made by {_text(software)}. Content id of the file: {_text(report.content_id)}. '
        "A changed file has another one.</p>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        f"<title>Audit: {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(filter(None, parts))
        + "\n</body>\n</html>\n"
    )


def _text(text: str) -> str:
    """Return a stranger's text, cut, with what is not printable escaped, as HTML; names in backticks as code."""
    cut = text[:MAX_TEXT] + ("…" if len(text) > MAX_TEXT else "")
    printable = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in cut)
    return NAME.sub(r"<code>\1</code>", html.escape(printable))


def _section(title: str, body: str) -> str:
    return f"<h2>{html.escape(title)}</h2>\n{body}"


def _box(head: str, body: str, colour: str) -> str:
    return (
        f'<div class="box" style="border-color: {colour}"><p><b style="color: {colour}">{html.escape(head)}</b></p>'
        + (f"<p>{html.escape(body)}</p>" if body else "")
        + "</div>"
    )


def _list(lines: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{_text(line[:1].upper() + line[1:])}</li>" for line in lines) + "</ul>"


def _paragraph(text: str) -> str:
    return f"<p>{_text(text)}</p>"


def _summary(report: AuditReport) -> str:
    worst = min((found.verdict for found in report.audit.origins), key=SEVERITY.index)
    return _box(f"Verdict: {worst}.", sentences.VERDICTS[worst], COLOURS[worst])


def _file(report: AuditReport, manifest: Manifest) -> str:
    words = manifest.provenance
    n_pairs = sum(entry.n_pairs for entry in manifest.content.origins)
    rows = {
        "file": report.bundle,
        "what it is": f"{n_pairs:,} Rosetta points: example inputs and where a model puts them, so that others can "
        "train a model whose results compare. No model is in it, but one much like it can be trained from it.",
        "made by": "; ".join(map(_creator, words.creators)),
        "made on": words.created,
        "made from": (
            "items, it does not say how many" if words.data.n_items is None else f"{words.data.n_items:,} items"
        )
        + (f": {words.data.description}" if words.data.description else ""),
        "description": words.description or "none",
        "licence": words.license,
        "terms of use": words.terms_of_use or "none stated",
    }
    return (
        "<table>"
        + "".join(f"<tr><th>{name}</th><td>{_text(text)}</td></tr>" for name, text in rows.items())
        + "</table>"
    )


def _creator(creator: Creator) -> str:
    return ", ".join(part for part in (creator.name, creator.affiliation) if part)


def _checked(report: AuditReport, policy: str | None) -> str:
    audit = report.audit
    lines = [
        f"Every point was held against all {audit.n_items:,} items of the data.",
        *filter(None, [sentences.headline(audit)]),
        f"Distances are normalised: they are given over the typical distance between an item and the one most like it, "
        f"{audit.typical_distance:.4g}.",
    ]
    if audit.n_groups is not None:
        lines.append(f"The items are of {audit.n_groups:,} groups, such as persons: each was taken as a whole.")
    if audit.attacks:
        lines.append(f"{audit.n_held_out:,} items of the same kind, which are not in the data, served for comparison.")
    if policy is not None:
        lines.append(f"The figures were held against the policy {policy}.")
    return _list(lines)


def _origin(found: OriginAudit, report: AuditReport) -> str:
    rows = "".join(
        f'<tr><th>{name}</th><td class="n">{figure}</td><td>{_text(meaning)}</td></tr>'
        for name, figure, meaning in sentences.figures(found, report.audit)
    )
    colour = COLOURS[found.verdict]
    return (
        f"<p>{_text(sentences.ORIGINS[found.origin])} "
        f'<b style="color: {colour}">Verdict: {found.verdict}.</b></p>{_list(found.reasons)}<table>{rows}</table>'
    )


def _attackers(report: AuditReport) -> str:
    audit = report.audit
    if not audit.attacks:
        return _paragraph("This was not tested. It needs items of the same kind that are not in the data.")
    tried = [each for each in audit.attacks if not each.is_ceiling]
    why = (
        "Sometimes the mere fact that somebody is in a data set is private, as with patients. Here an attacker has the "
        f"file and says whether an item was in the data, in {len(tried)} ways. What comes first tells most."
    )
    worst = worst_of(tried)
    lines = [sentences.attacker(each, len(tried)) for each in (worst, *_ceilings(audit)) if each is not None]
    lines += sentences.empty_cells(audit)
    if any(found.verdict == "holds items" for found in audit.origins):
        lines.append("These are averages over all items. An item that is in the file was in the data for certain.")
    rows = "".join(
        f"<tr><td>{_text(each.attack)}</td><td>{each.origin or 'all'}</td><td>{_text(each.knows)}</td>"
        f'<td class="n">{100 * each.auc:.1f}</td><td>{100 * each.low:.1f} to {100 * each.high:.1f}</td>'
        f"<td>{_percent(each.caught_at_1_percent)}</td></tr>"
        for each in sorted(tried, key=lambda each: -each.low)
    )
    head = "".join(f"<th>{name}</th>" for name in ("attack", "points", "has", "right in 100", "95 %", "found of 100"))
    return (
        _paragraph(why)
        + _list(lines)
        + f"<table><tr>{head}</tr>{rows}</table>"
        + _paragraph(
            "Right in 100: of pairs of an item of the data and another, those in which the attacker names the right "
            "one; guessing gives 50. Found of 100: items of the data that are recognised, if 1 of 100 others may "
            "wrongly be taken for one; guessing gives 1."
        )
    )


def _percent(share: float | None) -> str:
    return "not known" if share is None else f"{100 * share:.1f}"


def _ceilings(audit: DisclosureAudit) -> list[AttackResult]:
    return [each for each in audit.attacks if each.is_ceiling]


def _findings(report: AuditReport) -> str:
    lines = []
    for each in report.audit.findings:
        whose = f" of the {each.origin} points" if each.origin else ""
        found = each.reason[:1].upper() + each.reason[1:]
        lines.append(f"{each.attack.capitalize()}{whose}: {found}.")
    return _list(lines)


def _policy(report: AuditReport, policy: str) -> str:
    if not report.violations:
        return _paragraph(f"The file keeps to the policy {policy}.")
    return _paragraph(f"The file breaks the policy {policy}:") + _list(report.violations)


def _picture(picture: bytes | None) -> str:
    encoded = base64.b64encode(picture or b"").decode()
    alt = "Published points, each above the private item nearest to it"
    return (
        f'<p style="color: {COLOURS["holds items"]}"><b>{KEEP_IN}</b></p>'
        + _paragraph("Above, the published points that are nearest to items; below each, the private item. The numbers "
                     "are their distances: 0 is a copy, 1 is as far as items are from one another.")
        + f'<p><img src="data:image/png;base64,{encoded}" alt="{alt}"></p>'
    )  # fmt: skip
