"""What a data steward allows: read from a file, and held against a bundle before and after its points are made."""

from rosetta.policies.clauses import check_promises, violations
from rosetta.policies.membership import Membership
from rosetta.policies.reading import included_rows, load_policy, policy_mark

__all__ = ["Membership", "check_promises", "included_rows", "load_policy", "policy_mark", "violations"]
