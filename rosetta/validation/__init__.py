"""Bundles held against the rules: opened if they break none, also against the sender's own model and data."""
