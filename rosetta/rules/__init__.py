"""What `rosetta validate` checks, one file for each theme. A rule's docstring is its entry in the catalogue."""

from rosetta.rules.engine import Candidate, Problem, Rule, catalogue, rule, run

__all__ = ["Candidate", "Problem", "Rule", "catalogue", "rule", "run"]
