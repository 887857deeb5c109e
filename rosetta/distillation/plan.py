"""How many points of which origin, before any work is done for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rosetta.distillation.item_selection import METHOD
from rosetta.errors import UsageError
from rosetta.origins import origins
from rosetta.origins.bounds import SHARED
from rosetta.origins.draws import draws
from rosetta.schemas.distill import MOST_POINTS, DistillSettings
from rosetta.selection import selectors

POINTS = {"observed": 64, "averaged": 64, "public": 64}  # anchors, where nobody says how many
MANY_POINTS = 4096  # the same, of origins that hardly run out
PRIVATE = ("averaged", "moments")  # origins that can be made with differential privacy

# option → the origins that it is for, and what it is there
_BELONGS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "select": (("observed", "public"), "chooses among items"),
    "stratify": (("observed",), "divides items into strata, of which each gives points"),
    "members": (("averaged",), "counts the items behind an averaged point"),
    "mix": (("mixed",), "counts the items behind a mixed point"),
    "draw": (("decoded",), "draws the latents of decoded points"),
    "residuals": (("decoded",), "is for decoded points"),
    "reencoding_limit": (("decoded",), "is for decoded points"),
}


# what tells of single items, and is for those whose items may be told of
_OPEN_ONLY: Mapping[str, str] = {
    "mixed": "a mixture of a few items can be taken apart again: take `origin='decoded'` or averaged",
    "jitter": "each point would be near the reconstruction of one item: take another `draw`, such as moments",
}


@dataclass(frozen=True)
class Portion:
    """The points of one origin."""

    origin: str
    n_anchors: int
    n_checks: int


def with_origin(settings: DistillSettings, *, has_model: bool, has_decoder: bool) -> DistillSettings:
    """Return settings that name an origin: what a sender of this kind can give, and gives nobody's items away."""
    if settings.origin is not None:
        made = [name for each in settings.origin if (name := each.partition("=")[0]) != "observed"]
        if made and not has_model:
            raise UsageError(
                f"`origin={made[0]!r}` makes points that a model has to label, and there are latents only: take "
                "`origin='observed'`, whose points are items of the data"
            )
        return settings
    usual = "decoded" if has_decoder else "moments" if has_model else "observed"
    return settings.model_copy(update={"origin": (usual,)})


def portions_of(settings: DistillSettings) -> tuple[Portion, ...]:
    """Return how many anchors and checks each origin gives, or raise UsageError.

    The check pairs are divided as the anchors are, what cannot be divided going to the largest; the observed ones
    that are asked for on top come last.
    """
    counts: dict[str, int] = {}
    named = settings.origin or ("decoded",)
    pairs = None if settings.pairs == "auto" else settings.pairs
    for text in named:
        name, count = _read(text, pairs)
        origins.get(name)
        if name in counts:
            raise UsageError(f"`origin={name!r}` stands twice: give it once, as {name}=N")
        counts[name] = count
    if settings.pairs == "auto" and named != ("observed",):
        raise UsageError(
            "`pairs='auto'` chooses among items, as many as improve the coverage: it is for `origin='observed'`"
        )
    if settings.pairs is not None and all("=" in text for text in named):
        raise UsageError(
            f"`pairs={settings.pairs!r}` has no effect where every `origin` has its own number: leave it out"
        )
    total = sum(counts.values())
    if total > MOST_POINTS:
        raise UsageError(f"{total:,} pairs were asked for; a bundle has {MOST_POINTS:,} at most")
    portions = [Portion(name, n, settings.checks * n // total) for name, n in counts.items()]
    rest = settings.checks - sum(each.n_checks for each in portions)
    largest = max(range(len(portions)), key=lambda i: portions[i].n_anchors)
    first = portions[largest]
    portions[largest] = Portion(first.origin, first.n_anchors, first.n_checks + rest)
    if settings.observed_checks:
        portions.append(Portion("observed", 0, settings.observed_checks))
    _check_options(settings, counts)
    _check_privacy(settings, counts)
    return tuple(portions)


def _read(text: str, pairs: int | None) -> tuple[str, int]:
    name, mark, number = text.partition("=")
    if not mark:
        return name, pairs or POINTS.get(name, MANY_POINTS)
    if not number.isascii() or not number.isdigit() or not 1 <= int(number) <= MOST_POINTS:
        raise UsageError(f"`origin={text!r}`: write NAME, or NAME=N with N from 1 to {MOST_POINTS:,}")
    return name, int(number)


def _check_privacy(settings: DistillSettings, names: Mapping[str, int]) -> None:
    """Refuse points that tell of single items where the sender has not said that they may."""
    if settings.privacy == "open":
        return
    for name in (*names, settings.draw):
        if name in _OPEN_ONLY:
            option = "draw" if name == settings.draw else "origin"
            raise UsageError(
                f"`{option}={name!r}` is not allowed under `privacy={settings.privacy!r}`: {_OPEN_ONLY[name]}. If your "
                "items may be known to those who get the bundle, add `privacy='open'`"
            )
    if settings.privacy == "strict" and "averaged" in names and settings.members < SHARED:
        raise UsageError(
            f"`members={settings.members}` is not allowed under `privacy='strict'`: an average has {SHARED} members at "
            "least. Ask for fewer `pairs` and `checks`, or add `privacy='standard'`"
        )
    if settings.privacy == "strict" and ("observed" in names or settings.observed_checks):
        raise UsageError(
            "observed points are items of your data, which `privacy='strict'` does not let out: take "
            "`origin='decoded'` or averaged, or add `privacy='standard'`"
        )


def _check_options(settings: DistillSettings, names: Sequence[str] | Mapping[str, int]) -> None:
    """Refuse options that would have no effect, or one that nobody could mean."""
    defaults = DistillSettings.model_fields
    for option, (meant, purpose) in _BELONGS.items():
        if getattr(settings, option) != defaults[option].default and not set(meant) & set(names):
            raise UsageError(f"`{option}` {purpose}, and there are none with origin {', '.join(names)}: leave it out")
    draws.get(settings.draw)
    selectors.get(settings.select or METHOD)
    if settings.dp_epsilon is None:
        for option in ("dp_delta", "dp_norm"):
            if getattr(settings, option) is not None:
                raise UsageError(f"`{option}` has no effect without `dp_epsilon`")
        return
    if settings.dp_delta is None:
        raise UsageError("`dp_epsilon` needs `dp_delta` too: a number well below 1 / (number of items)")
    if settings.reproducible:
        raise UsageError(
            "`reproducible` has no effect on the noise of `dp_epsilon`, which is always secret: leave one of them out"
        )
    exposed = [name for name in names if name not in PRIVATE] + ["observed"] * bool(settings.observed_checks)
    if exposed:
        raise UsageError(
            f"differential privacy is for the origins {' and '.join(PRIVATE)}; {exposed[0]} points cannot have it"
        )
