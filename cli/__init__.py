"""The command line: one small file for each command; parse, call one verb, render."""

from .app import main

__all__ = ["main"]
