"""Parameters in messages of the library are options on the command line."""

from __future__ import annotations

import inspect

import pytest
from rosetta.cli.parameters import _known, as_options

import rosetta

NOT_ON_THE_COMMAND_LINE = {"a", "b", "bundle", "data", "path", "run", "settings"}  # arguments


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("pass more items (`held_out`)", "pass more items (--held-out)"),
        ("go on with it (`resume=True`)", "go on with it (--resume)"),
        ("set `residuals=False`", "set --no-residuals"),
        ('add `privacy="open"`', "add --privacy open"),
        ("none is held out (`validation=0`)", "none is held out (--validation 0)"),
        ("take `hidden=[64, 32]`", "take --hidden 64,32"),
        ("try `preprocess='scale(0, 255)'`", "try --preprocess 'scale(0, 255)'"),
        ("choose `anchor_limit=None`", "choose --anchor-limit none"),
        ("pass `trusted_keys=KEY.pub`", "pass --trusted-key KEY.pub"),
        ("give more `memory_gib`", "give more --memory"),
        ("`keep_best=True` removes them", "--keep best removes them"),
        ("use `rosetta train` or `nothing_known`", "use `rosetta train` or `nothing_known`"),
    ],
)
def test_a_parameter_in_a_message_is_shown_as_its_option(message: str, shown: str):
    assert as_options(message) == shown


@pytest.mark.parametrize("verb", ["audit", "check", "compare", "distill", "embed", "export", "sign", "sweep", "train"])
def test_every_parameter_of_a_verb_is_an_option_an_argument_or_a_callback(verb: str):
    parameters = inspect.signature(getattr(rosetta, verb)).parameters

    unknown = {name for name in parameters if not name.startswith("on_")} - _known() - NOT_ON_THE_COMMAND_LINE

    assert not unknown
