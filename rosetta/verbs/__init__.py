"""What can be done, one file for each verb. The public ones are also found in `rosetta` itself."""
