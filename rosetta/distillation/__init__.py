"""What the points of a bundle are made of: how many of which origin, the making, and noise where it is asked for."""
