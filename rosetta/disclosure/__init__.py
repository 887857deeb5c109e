"""What published points reveal of the private items that they were made from: arrays in, records out."""

from __future__ import annotations

from rosetta.disclosure.audit import audit_points

__all__ = ["audit_points"]
