"""What happens to a stranger's file before anything in it is believed.

::

    snapshot → superblock → parent ⇢ (warden ⇢ child: confine → walk) ⇢ extents

Only `child` and `walk` run in other processes, and only `walk` loads HDF5.
"""
