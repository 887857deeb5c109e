"""Small files that another implementation can test itself with: `spec/vectors/1.0`.

Run: python -m tests.vectors    writes them, until the release of the version freezes them
"""
