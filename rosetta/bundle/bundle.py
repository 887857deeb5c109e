"""A bundle in memory."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rosetta.arrays import Array, Floats, total_sd
from rosetta.bundle import integrity, layout
from rosetta.bundle.digest import manifest_digest
from rosetta.bundle.levels import from_levels
from rosetta.bundle.manifest import check_version, newer, parse_json, validate_schema
from rosetta.bundle.reader import RawBundle, read_raw
from rosetta.errors import BundleError, NewerFormatWarning
from rosetta.schemas.manifest import Manifest


@dataclass(frozen=True, eq=False, repr=False)
class Bundle:
    """Rosetta pairs with their manifest.

    Attributes
    ----------
    manifest : rosetta.schemas.manifest.Manifest
        What the pairs mean and where they come from.
    manifest_bytes : bytes
        The manifest as it stands in the file.
    arrays : mapping of str to array
        Every array of the file by its HDF5 path, read-only.
    """

    manifest: Manifest
    manifest_bytes: bytes
    arrays: Mapping[str, Array]

    @classmethod
    def open(cls, path: str | PathLike[str]) -> Bundle:
        """Read a bundle and make sure that it is whole.

        The file's form, the manifest and every digest are checked; for all that `rosetta validate` checks
        beyond that, such as the meaning of the numbers, use `rosetta.validate`.

        Raises
        ------
        SourceError
            If there is no such file or it cannot be read.
        BundleError
            With the rule that the file breaks; UnsafeFileError if it is not of the closed form.

        Warns
        -----
        NewerFormatWarning
            If the bundle is of a newer minor version: what this reader does not know of it is left out.
        """
        return cls.from_raw(read_raw(Path(path)))

    @classmethod
    def from_raw(cls, raw: RawBundle) -> Bundle:
        """Return the bundle in a file that was read, or raise BundleError with the first rule it breaks."""
        _, minor = check_version(raw.attributes)
        if raw.manifest is None:
            raise BundleError("RZ-V102", layout.MANIFEST, "the file has no manifest")
        value = parse_json(raw.manifest)
        problems, manifest, unknown = validate_schema(raw.manifest, minor=minor)
        if manifest is None:
            raise BundleError("RZ-V106", *problems[0])
        if minor > layout.MINOR:
            warnings.warn(newer(minor, unknown), NewerFormatWarning, stacklevel=3)
        for rule, find in integrity.CHECKS.items():
            for location, message in find(manifest, value, raw):
                raise BundleError(rule, location, message)
        return cls(manifest, raw.manifest, raw.arrays)

    def __repr__(self) -> str:
        title, n_anchors = self.manifest.provenance.title, int(self.is_anchor.sum())
        return (
            f"<Bundle {title!r}: {n_anchors} anchors, {len(self.inputs) - n_anchors} checks, {self.content_id[:12]}…>"
        )

    @cached_property
    def inputs(self) -> Array:
        """All inputs as an encoder sees them, anchors and checks, shape (n_pairs, …); float32 if stored in 8 bits."""
        span = self.manifest.content.input.stored_range
        stored = self.arrays[layout.INPUTS]
        return stored if span is None or stored.dtype != np.uint8 else from_levels(stored, span)

    @property
    def latents(self) -> Floats:
        """The sender's posterior means of the inputs, shape (n_pairs, n_dims)."""
        return self.arrays[layout.LATENTS]

    @property
    def latents_sd(self) -> Floats | None:
        """The sender's posterior standard deviations, shape (n_pairs, n_dims), if the bundle has them."""
        return self.arrays.get(layout.LATENTS_SD)

    @property
    def weights(self) -> Floats | None:
        """Share of the sender's items that each pair stands for, shape (n_pairs,), if the bundle has them."""
        return self.arrays.get(layout.WEIGHTS)

    @property
    def is_anchor(self) -> npt.NDArray[np.bool_]:
        """Which pairs are for training, shape (n_pairs,); the others are check pairs."""
        return np.equal(self.arrays[layout.ROLES], layout.ANCHOR)

    @property
    def anchor_inputs(self) -> Array:
        """Inputs of the anchor pairs, shape (n_anchors, …)."""
        return self.inputs[self.is_anchor]

    @property
    def anchor_latents(self) -> Floats:
        """Latents of the anchor pairs, shape (n_anchors, n_dims)."""
        return self.latents[self.is_anchor]

    @property
    def anchor_latents_sd(self) -> Floats | None:
        """Posterior standard deviations of the anchor pairs, shape (n_anchors, n_dims), if the bundle has them."""
        return None if self.latents_sd is None else self.latents_sd[self.is_anchor]

    @property
    def anchor_weights(self) -> Floats | None:
        """Share of the sender's items that each anchor pair stands for, shape (n_anchors,), if the bundle has it."""
        return None if self.weights is None else self.weights[self.is_anchor]

    @property
    def check_inputs(self) -> Array:
        """Inputs of the check pairs, shape (n_checks, …)."""
        return self.inputs[~self.is_anchor]

    @property
    def check_latents(self) -> Floats:
        """Latents of the check pairs, shape (n_checks, n_dims)."""
        return self.latents[~self.is_anchor]

    @property
    def space_mean(self) -> Floats | None:
        """Mean of all the sender's latents, shape (n_dims,), if the bundle has it."""
        return self.arrays.get(layout.SPACE_MEAN)

    @property
    def space_covariance(self) -> Floats | None:
        """Covariance of all the sender's latents, shape (n_dims, n_dims), if the bundle has it."""
        return self.arrays.get(layout.SPACE_COVARIANCE)

    @property
    def latents_total_sd(self) -> float:
        """Total standard deviation of the space: from its moments, else from the anchors' latents."""
        if self.space_covariance is not None:
            return float(np.sqrt(np.trace(self.space_covariance)))
        return total_sd(self.anchor_latents)

    @property
    def space_id(self) -> str:
        """Identity of the latent space, made once and inherited by every descendant."""
        return self.manifest.content.space.id

    @property
    def content_id(self) -> str:
        """Digest of what the pairs mean, the same however the file is packed and whoever signs it."""
        return self.manifest.content_id

    @cached_property
    def bundle_id(self) -> str:
        """Digest of the manifest's bytes."""
        return manifest_digest(self.manifest_bytes)
