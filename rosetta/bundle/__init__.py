"""The bundle: pairs, the moments of the latent space, and a manifest, in one closed HDF5 file."""

from rosetta.bundle.bundle import Bundle

__all__ = ["Bundle"]
