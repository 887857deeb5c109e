"""Models that pythae saved: a folder with model_config.json and model.pt."""

from __future__ import annotations

import importlib.util
import io
import json
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from rosetta.adapters import Adapted, Adapter, Loading, adapters
from rosetta.adapters.archive import read_program_file
from rosetta.adapters.blocks import in_blocks
from rosetta.adapters.layers import layers_of
from rosetta.adapters.outputs import decoded, named
from rosetta.adapters.weights import weights_sha256
from rosetta.arrays import Array, Floats
from rosetta.errors import ModelError, RosettaError
from rosetta.files import read_small
from rosetta.programs import reason
from rosetta.schemas.manifest import ModelDescription

CONFIG, WEIGHTS = "model_config.json", "model.pt"
INSTALL = "pip install --no-deps pythae==0.1.2 cloudpickle imageio"

# whose encoder gives the mean and the log-variance of q(z | x), and whose prior is a standard normal
GAUSSIAN = (
    "VAE", "BetaVAE", "DisentangledBetaVAE", "BetaTCVAE", "FactorVAE", "INFOVAE_MMD", "IWAE", "MIWAE", "PIWAE",
    "CIWAE", "MSSSIM_VAE", "VAEGAN",
)  # fmt: skip


def load_model(folder: Path, loading: Loading) -> Adapted:
    """Load a pythae model; its weights are read as tensors, and its own networks only if pickles are allowed.

    Latents are the encoder's `embedding`, the posterior means: pythae's own `embed` draws samples.

    Raises
    ------
    ModelError
        If pythae is not installed, or the model is damaged or needs pickles.
    """
    if importlib.util.find_spec("pythae") is None:
        raise ModelError(f"{folder} is a pythae model, and pythae is not installed. Install it with: {INSTALL}")
    fields = _read_config(folder / CONFIG)
    model = _build(folder, fields, loading).eval().to(loading.device)
    name = type(model).__name__
    kind = f"the pythae {name}"
    has_spread = name in GAUSSIAN

    def encode_block(block: Array) -> tuple[Array, ...]:
        with torch.inference_mode():
            output = model.encoder(torch.from_numpy(block).to(loading.device))
        found = dict(named({key: output[key] for key in output}, kind=kind))
        if not has_spread or "log_covariance" not in found:
            return (found["embedding"],)
        return found["embedding"], torch.from_numpy(0.5 * found["log_covariance"]).exp().numpy()

    def encode(inputs: Array) -> tuple[Floats, Floats | None]:
        means, *sds = in_blocks(encode_block, inputs, kind=kind)
        return means, sds[0] if sds else None

    def decode_block(block: Array) -> tuple[Array, ...]:
        with torch.inference_mode():
            output = model.decoder(torch.from_numpy(block).to(loading.device))
        return decoded(named({"reconstruction": output["reconstruction"]}, kind=kind), kind=kind)

    digest = weights_sha256(model)
    return Adapted(
        kind=kind,
        encode=encode,
        describe=lambda n_dims: ModelDescription(
            architecture=name,
            framework=f"pythae {version('pythae')}",
            objective="vae" if has_spread else "unknown",
            n_parameters=sum(parameter.numel() for parameter in model.parameters()),
            weights_sha256=digest,
            training={key: each for key, each in fields.items() if isinstance(each, int | float) or key == "name"},
        ),
        weights_sha256=digest,
        decode=lambda latents: in_blocks(decode_block, latents, kind=kind)[0],
        input_shape=None if model.input_dim is None else tuple(model.input_dim),
        notes=_notes(name, fields, has_spread=has_spread),
        layers=layers_of(model, encode_block, kind=kind),
    )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(read_small(path, limit=1 << 20, what="a pythae model's configuration"))
        if not isinstance(fields["name"], str):
            raise TypeError("its name is no text")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelError(
            f"{path} is no configuration of a pythae model ({reason(error)}): save the model again"
        ) from error
    return dict(fields)


def _build(folder: Path, fields: dict[str, Any], loading: Loading) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pythae import models

    name = fields["name"]
    kinds = {f"{each}{ending}": each for each in models.__all__ for ending in ("Config", "_Config")}
    if name not in kinds or name not in models.__all__:
        raise ModelError(f"{folder} is a pythae model of the kind {name[:80]!r}, which pythae.models does not have")
    own = [part for part in ("encoder", "decoder") if not fields.get(f"uses_default_{part}", True)]
    if own and not loading.allow_pickle:
        listed = " and ".join(f"{part}.pkl" for part in own)
        raise ModelError(
            f"{folder} has networks of its own, pickled in {listed}, and pickles can run code: if you trust whoever "
            "saved it, pass `allow_pickle`"
        )
    kind = getattr(models, kinds[name])
    try:
        if own:
            return kind.load_from_folder(str(folder))
        config = getattr(models, name).from_dict({key: each for key, each in fields.items() if key != "name"})
        model = kind(config)
        data = io.BytesIO(read_program_file(folder / WEIGHTS, what="a model's weights"))
        model.load_state_dict(torch.load(data, map_location="cpu", weights_only=True)["model_state_dict"])
    except (MemoryError, RosettaError):
        raise
    except Exception as error:  # pythae, pickle and torch raise whatever they come across
        raise ModelError(f"{folder} cannot be loaded as a pythae {kinds[name]}: {reason(error)}") from error
    return model


def _notes(name: str, fields: dict[str, Any], *, has_spread: bool) -> tuple[str, ...]:
    own = not (fields.get("uses_default_encoder", True) and fields.get("uses_default_decoder", True))
    return (
        *(("loading the pythae model ran code from its pickles",) if own else ()),
        *(
            ()
            if has_spread
            else (
                f"a pythae {name} has no Gaussian posterior under a standard normal prior: its latents are the "
                "encoder's embedding, without standard deviations",
            )
        ),
    )


def _knows(model: str) -> bool:
    return (Path(model) / CONFIG).is_file() and (Path(model) / WEIGHTS).is_file()


def _open(model: str, loading: Loading) -> Adapted:
    return load_model(Path(model), loading)


adapters.register("pythae")(Adapter(_knows, _open, "a folder that pythae saved (model_config.json and model.pt)"))
