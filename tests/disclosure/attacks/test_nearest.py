"""Points that lie near the members give them away, by inputs and by latents."""

from __future__ import annotations

import numpy as np

from tests.disclosure.cases import attacked, encode, side, tells, world


def test_points_around_members_are_found_and_others_are_not():
    members, others, rng = world(0)
    near = members[rng.integers(150, size=400)] + rng.normal(0, 1.2, (400, 60))
    honest = world(0, 400)[0]

    found, nothing = (attacked("nearest point", points, side(members), side(others)) for points in (near, honest[150:]))

    assert found.auc > 0.8
    assert tells(found)
    assert not tells(nothing)


def test_latents_of_members_are_found_among_published_ones():
    members, others, rng = world(1)
    given = [side(each, latents=encode(each)) for each in (members, others)]
    points = rng.normal(size=(300, 60))
    told = encode(members)[rng.integers(150, size=300)] + rng.normal(0, 0.01, (300, 3)).astype(np.float32)

    found = attacked("nearest latent", points, *given, latents=told)
    nothing = attacked("nearest latent", points, *given, latents=encode(world(1, 450)[0][150:]))

    assert found.knows == "bundle and the encoder"
    assert tells(found)
    assert not tells(nothing)
