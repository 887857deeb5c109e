"""A validation as JUnit's XML, which continuous integration shows as test results: a suite a file, a case a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from .parameters import as_options
from .render import plain

if TYPE_CHECKING:
    from rosetta.schemas.validation import ValidationReport, ValidationSummary

    from rosetta.rules import Rule


def junit(summary: ValidationSummary) -> str:
    """Return the results of all files; warnings are failures only if they count as errors."""
    from rosetta.rules import catalogue

    rules = sorted(catalogue(), key=lambda rule: rule.id)
    root = ElementTree.Element("testsuites", name="rosetta validate")
    for report in summary.reports:
        root.append(_suite(report, rules))
    for name in ("tests", "failures", "skipped"):
        root.set(name, str(sum(int(suite.attrib[name]) for suite in root)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def _suite(report: ValidationReport, rules: list[Rule]) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=plain(report.bundle))
    for rule in rules:
        suite.append(_case(report, rule))
    suite.set("tests", str(len(rules)))
    suite.set("errors", "0")
    for name, tag in (("failures", "failure"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    return suite


def _case(report: ValidationReport, rule: Rule) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=plain(report.bundle), name=f"{rule.id} {rule.text}", time="0")
    found = [each for each in report.findings if each.rule == rule.id]
    text = "\n".join(plain(f"{each.location}: {each.message}") for each in found)
    reasons = [each.reason for each in report.skipped if each.rule == rule.id]
    counts = {"fatal", "error", *(["warning"] if report.strict else [])}
    if found and rule.severity in counts:
        failure = ElementTree.SubElement(case, "failure", type=rule.severity, message=plain(found[0].message))
        failure.text = f"{text}\n{as_options(rule.fix)} (specification, section {rule.section})"
    elif reasons:
        ElementTree.SubElement(case, "skipped", message=as_options(reasons[0]))
    elif found:
        ElementTree.SubElement(case, "system-out").text = text
    return case
