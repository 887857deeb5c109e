"""Models of single cells that scvi-tools saved: a folder with model.pt."""

from __future__ import annotations

import importlib.util
import io
import warnings
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rosetta.adapters import Adapted, Adapter, Loading, adapters
from rosetta.adapters.archive import read_program_file
from rosetta.adapters.blocks import in_blocks
from rosetta.adapters.layers import layers_of
from rosetta.adapters.weights import weights_sha256
from rosetta.arrays import Array, Floats
from rosetta.errors import MissingExtraError, ModelError, RosettaError
from rosetta.programs import reason
from rosetta.schemas.manifest import ModelDescription

WEIGHTS = "model.pt"
KNOWN = ("SCVI", "LinearSCVI")  # whose latents are a function of one item's counts alone
PARTS = ("model_state_dict", "var_names", "attr_dict")
PANDAS = (  # of the training's history, which is not needed
    "pandas.core.frame.DataFrame", "pandas.core.series.Series", "pandas.core.internals.managers.BlockManager",
    "pandas.core.internals.managers.SingleBlockManager", "pandas._libs.internals._unpickle_block",
    "pandas.core.indexes.base._new_Index", "pandas.core.indexes.base.Index", "pandas.core.indexes.range.RangeIndex",
)  # fmt: skip


class _Ignored:
    """What is read in place of a table."""

    def __init__(self, *parts: object) -> None:
        """Take whatever it is made from."""

    def __setstate__(self, state: object) -> None:
        """Take whatever it holds."""


def load_model(folder: Path, loading: Loading) -> Adapted:
    """Load an scVI model, without its data: raw counts, float32, shape (n_items, n_genes), to posterior means.

    Raises
    ------
    MissingExtraError
        If scvi-tools is not installed.
    ModelError
        If the model is damaged, of another kind, needs to know each cell's batch, or could run code when it is read.
    """
    if importlib.util.find_spec("scvi") is None:
        raise MissingExtraError("scvi", "scvi-tools", "reading scvi-tools models")
    saved = _read(folder, loading)
    name = saved["attr_dict"]["registry_"].get("model_name")
    if name not in KNOWN:
        raise ModelError(
            f"{folder} is an scvi-tools model of the kind {str(name)[:80]!r}, and {' and '.join(KNOWN)} are read here: "
            "give its latents as they are, from get_latent_representation(give_mean=True)"
        )
    module, options = _build(folder, name, saved)
    module.eval().to(loading.device)
    kind = f"the scvi-tools {name}"
    _check_covariates(module, options, kind)

    def encode_block(block: Array) -> tuple[Array, ...]:
        with torch.inference_mode():
            counts = torch.from_numpy(block).to(loading.device)
            batch = torch.zeros(len(block), 1, device=loading.device)  # the encoder does not look at it
            posterior = module.inference(counts, batch)["qz"]
        return posterior.loc.cpu().numpy(), posterior.scale.cpu().numpy()

    def encode(inputs: Array) -> tuple[Floats, Floats | None]:
        means, sds = in_blocks(encode_block, inputs, kind=kind)
        return means, sds

    genes = tuple(str(gene) for gene in saved["var_names"])
    digest = weights_sha256(module)
    return Adapted(
        kind=kind,
        encode=encode,
        describe=lambda n_dims: ModelDescription(
            architecture=str(name),
            framework=f"scvi-tools {version('scvi-tools')}",
            objective="vae",
            n_parameters=sum(parameter.numel() for parameter in module.parameters()),
            weights_sha256=digest,
            training={key: each for key, each in options.items() if isinstance(each, bool | int | float | str)},
        ),
        weights_sha256=digest,
        input_shape=(len(genes),),
        steps=(),
        feature_names=genes,
        notes=(f"{kind} takes raw counts: it takes their logarithm itself",),
        layers=layers_of(module, encode_block, kind=kind),
    )


def _read(folder: Path, loading: Loading) -> dict[str, Any]:
    """Return what is in model.pt: tensors, arrays and plain values, unless pickles are allowed."""
    data = io.BytesIO(read_program_file(folder / WEIGHTS, what="an scvi-tools model"))
    try:
        with torch.serialization.safe_globals([] if loading.allow_pickle else _allowed()):
            saved = torch.load(data, map_location="cpu", weights_only=not loading.allow_pickle)
    except Exception as error:  # pickle raises whatever it comes across
        advice = "" if loading.allow_pickle else (
            "; it holds more than arrays and plain values, or is damaged. If you trust whoever saved it, pass "
            "`allow_pickle`"
        )  # fmt: skip
        raise ModelError(f"{folder / WEIGHTS} cannot be read: {type(error).__name__}{advice}") from error
    is_whole = isinstance(saved, Mapping) and all(part in saved for part in PARTS)
    if not is_whole or not isinstance(saved["attr_dict"], Mapping) or "registry_" not in saved["attr_dict"]:
        raise ModelError(f"{folder / WEIGHTS} is no scvi-tools model of version 0.15 or later: save it again")
    return dict(saved)


def _allowed() -> list[Any]:
    """Return what a model's pickle may name: arrays, and what stands in for tables."""
    rebuild = np.arange(1).__reduce__()[0]
    scalar = np.int64(1).__reduce__()[0]
    dtypes = {
        type(np.dtype(each)) for each in (object, bool, np.int8, np.int32, np.int64, np.float32, np.float64, "U1")
    }
    names = [f"numpy.{core}.multiarray" for core in ("core", "_core")]
    return [
        np.ndarray, np.dtype, slice, bytes, *dtypes,
        *((rebuild, f"{name}._reconstruct") for name in names),
        *((scalar, f"{name}.scalar") for name in names),
        (_plain_dict, "collections.defaultdict"), (_plain_dict, "builtins.dict"),
        *((_Ignored, name) for name in PANDAS),
    ]  # fmt: skip


def _plain_dict(*parts: object) -> dict[Any, Any]:
    """Return an empty dictionary in place of one with a default."""
    return {}


def _build(folder: Path, name: str, saved: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the network with its weights, and what it was made with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import scvi

            made_with = saved["attr_dict"]["init_params_"]
            options = {
                **made_with["non_kwargs"],
                **{k: v for more in made_with["kwargs"].values() for k, v in more.items()},
            }
            model = getattr(scvi.model, name)(adata=None, registry=saved["attr_dict"]["registry_"], **options)
            weights = {k: v for k, v in saved["model_state_dict"].items() if k != "pyro_param_store"}
            model.module.load_state_dict(weights)
        except (MemoryError, RosettaError):
            raise
        except Exception as error:  # as above
            raise ModelError(
                f"{folder} cannot be loaded by scvi-tools {version('scvi-tools')}: {reason(error)}"
            ) from error
    return model.module, options


def _check_covariates(module: Any, options: Mapping[str, Any], kind: str) -> None:
    if options.get("latent_distribution", "normal") != "normal":
        raise ModelError(f"{kind} has a latent distribution that is not normal, so its posterior has no such means")
    has_covariates = module.n_batch > 1 or options.get("n_cats_per_cov") or module.n_continuous_cov
    if getattr(module, "encode_covariates", False) and has_covariates:
        raise ModelError(
            f"the encoder of {kind} needs each cell's batch and covariates (encode_covariates=True), which are no part "
            "of an item: train it without, or give its latents as they are, from get_latent_representation"
        )


def _knows(model: str) -> bool:
    """Whether a folder's model.pt lists genes, by the start of its pickle; nothing is unpickled."""
    path = Path(model) / WEIGHTS
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        pickled = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        return bool(pickled) and b"var_names" in archive.read(pickled[0])


def _open(model: str, loading: Loading) -> Adapted:
    return load_model(Path(model), loading)


adapters.register("scvi")(Adapter(_knows, _open, "a folder that scvi-tools saved (model.pt, of an SCVI)"))
