"""What `sweep` does beside training: grids, criteria, and sharing among processes and machines."""
