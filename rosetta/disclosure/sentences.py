"""The figures of an audit in plain words, for somebody who answers for the data and is no statistician."""

from __future__ import annotations

from rosetta.disclosure.verdicts import is_alarm, is_beyond_chance
from rosetta.schemas.audit import AttackResult, DisclosureAudit, Knows, OriginAudit, PrivacyAccount, Verdict
from rosetta.schemas.manifest import OriginName

FEW = 5.0  # items for each number in an item, below which they are said to be few

ORIGINS: dict[OriginName, str] = {
    "observed": "Observed points are items of the data, as they are.",
    "averaged": "Averaged points are means of several items of the data.",
    "mixed": "Mixed points are blends of several items of the data.",
    "decoded": "Decoded points were made by the trained model. None of them is an item, but a model can have learned "
    "an item by heart.",
    "moments": "These points were drawn at random from the mean and the covariance of the data.",
    "public": "Public points come from data that the sender may share.",
}
VERDICTS: dict[Verdict, str] = {
    "holds items": "Private items are in the file, or can be computed from it. Whoever gets it has them.",
    "close to items": "No item is in the file as it is, but some points tell of the items that they were made from: "
    "somebody can find out something about single items, as told below.",
    "not judged": "No item was found in the file, but nobody has tested whether somebody can tell who was in the data. "
    "That needs items of the same kind that neither the model nor the file has seen.",
    "no item found": "No point is an item of the data or suspiciously near to one, and no attack that was tried could "
    "tell who was in the data. It was looked for as told below, and in no other way.",
}
KNOWS: dict[Knows, str] = {
    "bundle": "Somebody who has this file and nothing else",
    "bundle and like items": "Somebody who has this file, and items of the same kind of their own",
    "bundle and the encoder": "Somebody who has this file and the sender's encoder, or one very much like it",
    "earlier bundles": "Somebody who has this file and an earlier one",
    "the sender's own model": "Somebody who has the sender's own model, which is not in the file",
}


def figures(found: OriginAudit, audit: DisclosureAudit) -> list[tuple[str, str, str]]:
    """Return name, figure and meaning of what is known of an origin's points."""
    rows = [
        ("points", f"{found.n_points:,}", "Pairs of this kind in the file, check pairs included."),
        ("copies", f"{found.n_copies:,}", "Points that are an item of the data, but for rounding."),
        ("near copies", f"{found.n_near_copies:,}", _near_copies(audit)),
        ("smallest DCR", f"{found.nearest_ratio_min:.2f}",
         "Normalised distance to closest record (DCR), of the closest point: its distance to its nearest item, over "
         "the typical distance of an item to the one most like it. 0 is a copy; at 1, it is as far from it as items "
         "are from one another."),
        ("median DCR", f"{found.nearest_ratio_median:.2f}", "The same, of the point in the middle."),
        ("rare items exposed", f"{found.n_rare_exposed:,} of {audit.n_rare:,}",
         "Of the 5 % of the items that are least like any other, such as unusual patients, those that have a copy or "
         "near copy."),
    ]  # fmt: skip
    if found.members is not None:
        rows.append(("items behind a point", f"{found.members:,}", "The fewest items that one point was made of."))
    if found.demixed is not None:
        rows.append(
            ("taken apart", f"{100 * found.demixed:.3g} % of {found.n_demixing_tried:,}",
             "Points tried that could be taken apart into at most eight items of the data.")
        )  # fmt: skip
    return rows


def _near_copies(audit: DisclosureAudit) -> str:
    meaning = "Points much nearer to one item than that item is to any other."
    if audit.near_copies_by_chance is None:
        return meaning
    return f"{meaning} Of new items of this kind, {100 * audit.near_copies_by_chance:.3g} % would be so by chance."


def attacker(result: AttackResult, n_attacks: int) -> str:
    """Return what an attacker could do, how well, and compared with what."""
    unit = "item" if result.unit == "item" else "person (or other group of items)"
    text = (
        f"{KNOWS[result.knows]}, and is shown one {unit} of the data beside one that was not in it, says which is "
        f"which correctly in {100 * result.auc:.0f} of 100 cases ({100 * result.low:.0f} to {100 * result.high:.0f}), "
        "where guessing gives 50."
    )
    if result.caught_at_1_percent is not None:
        text += (
            f" If they may be wrong about 1 in 100 outsiders, they find {100 * result.caught_at_1_percent:.1f} of 100 "
            f"{unit}s of the data, where guessing finds 1."
        )
    if result.is_ceiling:
        return f"{text} This is for comparison with the file."
    if is_alarm(result, n_attacks):
        return f"{text} This tells who was in the data."
    if is_beyond_chance(result, n_attacks):
        return f"{text} This is more than chance, but too little to recognise somebody by."
    return f"{text} This is no more than chance gives, as {n_attacks} attacks were tried."


def empty_cells(audit: DisclosureAudit) -> list[str]:
    """Return who is proved not to have been in the data by pairs of weight 0, where weights are in the file."""
    shares = [each.figures.get("outsiders_in_empty_cells", 0.0) for each in audit.attacks]
    if not max(shares, default=0.0):
        return []
    return [
        f"The file says how many items are nearest to each pair. {100 * max(shares):.0f} of 100 outsiders are nearest "
        "to a pair that has none: this proves that they were not in the data."
    ]


def headline(audit: DisclosureAudit) -> str | None:
    """Return how many items there are for the numbers in an item, and what that means; None if it is not known."""
    if audit.numbers_an_item is None or audit.items_a_number is None:
        return None
    text = (
        f"The data has {audit.n_items:,} items of {audit.numbers_an_item:,} numbers each: {audit.items_a_number:.2g} "
        "items for each number."
    )
    if audit.items_a_number < 1:
        return f"{text} With fewer items than numbers, statistics such as a covariance can hold every single item."
    if audit.items_a_number < FEW:
        return f"{text} These are few: statistics of so few items can tell of single ones."
    return text


def privacy(account: PrivacyAccount) -> str:
    """Return what differential privacy promises of one origin's points."""
    return (
        f"The {account.origin} points were made with differential privacy: epsilon {account.epsilon:g}, delta "
        f"{account.delta:g}, between data sets that differ in one item ({account.mechanism}). {account.statement}"
    )


def not_checked(audit: DisclosureAudit, *, is_private: bool) -> list[str]:
    """Return what no figure on the page speaks of."""
    items = [
        "The check used the data that it was given. If that was not all the data behind the model, it says nothing "
        "about the rest.",
        "It compares points with items number by number. An item that was shifted, turned or rescaled is not found.",
        "It tries a few known attacks, each with little work. Somebody who knows more about the items, or works "
        "longer, may do better.",
        "The words of the file (title, description, names) were not looked at, nor, unless an earlier file was given, "
        "the constants of its preprocessing and its statistics of the latents.",
    ]
    if not audit.attacks:
        items.insert(0, "Whether somebody can tell if an item was in the data was not tested: no items that were held "
                        "out, or too few, were given.")  # fmt: skip
    elif not any(each.knows == "bundle and the encoder" for each in audit.attacks):
        items.insert(0, "No attack with the sender's encoder was tried: the model was not given.")
    if audit.n_groups is None:
        items.append(
            "Each item was taken for somebody else's. Where several items are of one person, the person may be easier "
            "to recognise than the item."
        )
    if audit.attacks:
        items.append(
            "The held-out items were taken to be of the same kind as the data. Any other difference between the two, "
            "such as another instrument, shows as membership."
        )
    if not is_private:
        items.append("None of this is differential privacy, which alone limits what anybody can ever find out.")
    return items
