"""The figures of an audit in plain words, for somebody who answers for the data and is no statistician."""

from __future__ import annotations

from rosetta.schemas.audit import DisclosureAudit, MembershipTest, OriginAudit, PrivacyAccount, Verdict
from rosetta.schemas.manifest import OriginName

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
    "holds items": "Private items are in the file. Whoever gets it has them.",
    "close to items": "No item is in the file as it is, or none was looked for, but some points are so near to "
    "items, or made of so few, that they may tell of them.",
    "no item found": "No point is an item of the data or suspiciously near to one. It was looked for as told below, "
    "and in no other way.",
}


def figures(found: OriginAudit, audit: DisclosureAudit) -> list[tuple[str, str, str]]:
    """Return name, figure and meaning of what is known of an origin's points."""
    rows = [
        ("points", f"{found.n_points:,}", "Pairs of this kind in the file, check pairs included."),
        ("copies", f"{found.n_copies:,}", "Points that are an item of the data, but for rounding."),
        ("near copies", f"{found.n_near_copies:,}", _near_copies(audit)),
        ("nearest point", f"{found.nearest_ratio_min:.2f}",
         "Distance of the closest point to its nearest item. 0 is a copy; at 1, it is as far from it as items are from "
         "one another."),
        ("median point", f"{found.nearest_ratio_median:.2f}", "The same distance, for the point in the middle."),
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


def membership(test: MembershipTest) -> str:
    """Return what a membership test found."""
    by = {"inputs": "how near the items are to the points", "latents": "the latents of items and points"}[test.attack]
    right = 50 + 50 * test.advantage
    return (
        f"Going by {by}, and shown one item at a time, half of them from the data, an attacker is right about "
        f"{right:.0f} % of the time, where guessing is 50 % (advantage {test.advantage:.3f}; 95 %: {test.low:.3f} to "
        f"{test.high:.3f}). If she may be wrong about 1 in 100 outsiders, she finds "
        f"{100 * test.caught_at_1_percent:.1f} % of the items."
    )


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
        "It tries a few known attacks. Somebody who knows more about the items may do better.",
        "The words of the file (title, description, names) and the constants of its preprocessing were not looked at. "
        "Nor were its statistics of the latents.",
    ]
    if not audit.membership:
        items.insert(0, "Whether somebody can tell if an item was in the data was not tested: no items that were held "
                        "out, or too few, were given.")  # fmt: skip
    elif not any(test.attack == "latents" for test in audit.membership):
        items.insert(0, "Membership was not tested with latents: the model was not given.")
    if audit.membership:
        items.append(
            "The held-out items were taken to be of the same kind as the data. Any other difference between the two, "
            "such as another instrument, shows as membership."
        )
    if not is_private:
        items.append("None of this is differential privacy, which alone limits what anybody can ever find out.")
    return items
