"""Statistics of items with differential privacy: whoever sees them learns almost nothing of any one item.

Two data sets are neighbours if one item of the first is replaced in the second, so that the number of items is public.
Where items belong to groups, such as people, one group is replaced, with all its items.
"""

from rosetta.privacy.means import PrivateMeans, private_means
from rosetta.privacy.moments import PrivateMoments, private_moments

__all__ = ["PrivateMeans", "PrivateMoments", "private_means", "private_moments"]
