"""Charts for people: how trainings went, and what a sweep found. matplotlib is an extra."""

from __future__ import annotations

from rosetta.charts.curves import training_curves
from rosetta.charts.sweep import sweep_chart

__all__ = ["sweep_chart", "training_curves"]
