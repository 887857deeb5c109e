"""How numbers, lists and the texts of strangers are written on a page: in few words, cut and printable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from .render import plain

MAX_TEXT = 200  # characters of a name
MAX_PROSE = 1200  # characters of a description, of terms, of a citation
MAX_LINES = 12  # of these
MAX_ENTRIES = 8  # of a list
MAX_SETTINGS = 24

T = TypeVar("T")


class Line(NamedTuple):
    """Something known, and what it means."""

    text: str
    note: str = ""


def shorten(text: str, limit: int = MAX_TEXT) -> str:
    r"""Return a stranger's text on one line, printable, with what is beyond `limit` characters counted.

    Examples
    --------
    >>> print(shorten("one\ntwo three", 7))
    one\ntwo… (6 more characters)
    """
    rest = len(text) - limit
    return plain(text) if rest <= 0 else f"{plain(text[:limit])}… ({rest:,} more characters)"


def paragraphs(text: str | None) -> list[Line]:
    """Return a stranger's prose, its line feeds kept: some lines, and how many characters are left out."""
    if text is None:
        return []
    head = "\n".join(text[:MAX_PROSE].split("\n")[:MAX_LINES])
    rest = len(text) - len(head)
    lines = [Line(plain(line.rstrip().replace("\t", " "))) for line in head.split("\n") if line.strip()]
    return [*lines, Line(f"… ({rest:,} more characters)")] if rest else lines


def several(values: Sequence[T], describe: Callable[[T], str | Line]) -> list[Line]:
    """Return the first values, a line for each, and how many are left out."""
    shown = map(describe, values[:MAX_ENTRIES])
    lines = [each if isinstance(each, Line) else Line(each) for each in shown]
    return [*lines, *map(Line, _rest(values, MAX_ENTRIES))]


def names(given: Sequence[str] | None) -> str:
    """Return how many names there are and the first of them; nothing for none."""
    if not given:
        return ""
    listed = [*(shorten(name, 40) for name in given[:MAX_ENTRIES]), *_rest(given, MAX_ENTRIES)]
    return f"{len(given):,} with names: {', '.join(listed)}"


def settings(given: Mapping[str, Any]) -> str:
    """Return names and values of a JSON object on one line."""
    named = [f"{shorten(name, 40)} {brief(given[name])}" for name in sorted(given)[:MAX_SETTINGS]]
    return ", ".join([*named, *_rest(given, MAX_SETTINGS)])


def brief(value: Any) -> str:
    """Return a JSON value in a few words.

    Examples
    --------
    >>> brief(0.001), brief(True), brief([256, 128]), brief({"a": []}), brief([[1], [2]])
    ('0.001', 'yes', '(256, 128)', '1 key', 'a list of 2')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return counted(len(value), "key")
    if isinstance(value, list):
        is_long = len(value) > MAX_ENTRIES or any(isinstance(each, dict | list) for each in value)
        return f"a list of {len(value):,}" if is_long else f"({', '.join(map(brief, value))})"
    return shorten(str(value), 60)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> counted(1, "key"), counted(2000, "key")
    ('1 key', '2,000 keys')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def span(values: tuple[float, float] | None) -> str:
    """Return a range in words; 0 has no sign."""
    return "no finite value" if values is None else f"{values[0] + 0.0:.4g} to {values[1] + 0.0:.4g}"


def size(n_bytes: int) -> str:
    """Return a number of bytes in the unit that fits it."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.3g} {unit}"
    return f"{n_bytes} bytes"


def _rest(values: Sequence[Any] | Mapping[str, Any], limit: int) -> list[str]:
    """Return how many values are beyond the limit, if any."""
    return [f"… ({len(values) - limit:,} more)"] if len(values) > limit else []
