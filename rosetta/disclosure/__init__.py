"""What published points reveal of the private items that they were made from: arrays in, records out."""

from __future__ import annotations

from rosetta.disclosure.adversary import run_attacks
from rosetta.disclosure.audit import audit_points, compact

__all__ = ["audit_points", "compact", "run_attacks"]
