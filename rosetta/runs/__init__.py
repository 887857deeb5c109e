"""What `train` and `sweep` do, from settings and data that are checked to run folders that are whole."""
