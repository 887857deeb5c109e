"""The evidence lower bound, with a weight for the KL divergence."""

from __future__ import annotations

from rosetta.objectives.kinds import KL, NoSettings, Objective, objectives

objectives.register("vae")(
    Objective(
        "reconstruction + beta · KL: the evidence lower bound if beta is 1 (Kingma & Welling 2014)",
        NoSettings,
        (KL,),
    )
)
