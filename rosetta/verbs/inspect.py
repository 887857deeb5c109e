"""What is in a bundle."""

from __future__ import annotations

from os import PathLike

from rosetta.bundle import Bundle
from rosetta.schemas.reports import InspectReport


def inspect(path: str | PathLike[str]) -> tuple[InspectReport, Bundle]:
    """Open a bundle and return its facts beside it.

    Raises
    ------
    SourceError, BundleError
        As `Bundle.open`.
    """
    bundle = Bundle.open(path)
    n_anchors = int(bundle.is_anchor.sum())
    report = InspectReport(
        bundle=str(path),
        content_id=bundle.content_id,
        bundle_id=bundle.bundle_id,
        n_bytes=sum(array.nbytes for array in bundle.arrays.values()) + len(bundle.manifest_bytes),
        n_pairs=len(bundle.inputs),
        n_anchors=n_anchors,
        n_checks=len(bundle.inputs) - n_anchors,
        input_range=(float(bundle.inputs.min()), float(bundle.inputs.max())),
        latent_range=(float(bundle.latents.min()), float(bundle.latents.max())),
        manifest=bundle.manifest,
    )
    return report, bundle
