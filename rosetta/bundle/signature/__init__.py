"""Who stands behind a bundle: the signature beside it, keys, and whom a receiver trusts.

::

    private_key → signing → envelope ← dsse ← keys ← trust
"""
