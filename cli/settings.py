"""The settings of a training as options, the same for every command that trains, and as keys of a config file."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

F = TypeVar("F", bound=Callable[..., None])

NETWORK, TRAINING, ANCHORS, MACHINE = "Network", "Training", "Anchors", "Machine"

LikelihoodName = Literal["gaussian", "bernoulli", "poisson", "negative-binomial"]
ActivationName = Literal["relu", "leaky-relu", "elu", "gelu", "silu", "softplus", "tanh"]

# name → type, panel, help, and what is shown as default; the defaults are those of rosetta.schemas.run.TrainSettings
OPTIONS: dict[str, tuple[Any, str, str, str]] = {
    "architecture": (str, NETWORK, "dense, conv, resnet-mnist, resnet-birdsong or disentanglement.", "dense"),
    "latent_dim": (int, NETWORK, "Latent dimensions; those beyond a bundle's are free.", "the bundle's, or 8"),
    "hidden": (str, NETWORK, "Sizes of the encoder's hidden layers: N,N,…", "the architecture's"),
    "channels": (str, NETWORK, "Channels of the encoder's convolutions: N,N,…", "the architecture's"),
    "activation": (ActivationName, NETWORK, "What follows each hidden layer.", "relu"),
    "tied": (bool, NETWORK, "Decode with the encoder's weights, transposed.", "no-tied"),
    "sparse": (float, NETWORK, "Share of each hidden layer's units that stay active, the largest.", "1"),
    "likelihood": (LikelihoodName, NETWORK, "What the decoder's output means.", "gaussian"),
    "precision": (str, NETWORK, "1 / variance of the Gaussian likelihood: a number, or learned.", "10"),
    "preprocess": (
        str, NETWORK, "Steps joined by |, of scale(low, high) and standardize; or none.",
        "the bundle's; without one, scale(0, 255) for uint8",
    ),
    "epochs": (int, TRAINING, "Passes over the data.", "100"),
    "batch_size": (int, TRAINING, "Items in a step, on all devices together.", "128"),
    "lr": (float, TRAINING, "Adam's learning rate.", "0.001"),
    "lr_schedule": (
        Literal["constant", "linear", "cosine"], TRAINING,
        "How the learning rate falls; the last two end at 0.", "constant",
    ),
    "lr_warmup": (float, TRAINING, "Epochs over which the learning rate rises from 0.", "0"),
    "clip": (float, TRAINING, "Largest norm of the gradient; a longer one is scaled down.", "none"),
    "patience": (
        int, TRAINING,
        "Stop after so many epochs without a better held-out loss, and keep the best epoch's weights.", "none",
    ),
    "objective": (str, TRAINING, "What is minimised: `rosetta objectives` lists what there is.", "vae"),
    "objective_settings": (
        list[str], TRAINING, "NAME=VALUE: a setting of the objective's own; may be repeated.", "the objective's",
    ),
    "beta": (float, TRAINING, "Weight of the KL divergence.", "1"),
    "kl_anneal": (float, TRAINING, "Epochs over which that weight rises from 0.", "0"),
    "validation": (float, TRAINING, "Share of the items held out to measure on.", "0.1"),
    "seed": (int, TRAINING, "Seed: the same seed gives the same result on the same machine.", "0"),
    "anchor_weight": (
        str, ANCHORS, "Weight of the anchors: auto holds their error at the tolerance; or a number.", "auto",
    ),
    "anchor_tolerance": (
        float, ANCHORS, "Anchor error to hold, as a share of the space's total standard deviation.", "0.05",
    ),
    "anchor_scaling": (
        Literal["mean", "paper"], ANCHORS,
        "What a given weight multiplies: the mean error, or that times the ratio of anchors to batch size.", "mean",
    ),
    "anchor_pair_weights": (
        Literal["uniform", "share"], ANCHORS,
        "Whether each pair counts alike, or by the share of the sender's items that it stands for.", "uniform",
    ),
    "anchor_decoder_weight": (float, ANCHORS, "Weight of decoding the stored latents back to their inputs.", "0"),
    "anchor_spread_weight": (
        float, ANCHORS, "Weight of the KL divergence from the stored posteriors to the new ones.", "0",
    ),
    "anchor_elbo_weight": (float, ANCHORS, "Weight of the negative ELBO of the anchors' inputs.", "0"),
    "anchor_noise": (float, ANCHORS, "Standard deviation of noise on the anchors' inputs, in their units.", "0"),
    "anchors_per_step": (int, ANCHORS, "Anchors drawn at each step, if there are more.", "256"),
    "align": (bool, ANCHORS, "Rotate the latents to the anchors in closed form before the first step.", "no-align"),
    "device": (Literal["auto", "cpu", "cuda", "mps"], MACHINE, "Where numbers are computed.", "auto"),
    "precision_mode": (Literal["32", "bf16"], MACHINE, "Numbers that the network computes in.", "32"),
    "compile": (
        bool, MACHINE, "Compile the network first, which takes a minute and pays in long trainings.", "no-compile",
    ),
}  # fmt: skip


NAMES = {"objective_settings": ("--set",)}  # options that are called otherwise than the setting


def takes_settings(*, leave_out: Collection[str] = ()) -> Callable[[F], F]:
    """Return a decorator that gives a command an option for every setting but some; its **settings gets them."""

    def decorate(command: F) -> F:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        more = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[
                    kind | None,
                    typer.Option(*NAMES.get(name, ()), help=words, rich_help_panel=panel, show_default=shown),
                ],
            )
            for name, (kind, panel, words, shown) in OPTIONS.items()
            if name not in leave_out
        ]  # fmt: skip
        own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        command.__signature__ = signature.replace(parameters=own + more)  # type: ignore[attr-defined]
        del command.__annotations__["settings"]
        command.__annotations__ |= {parameter.name: parameter.annotation for parameter in more}
        return command

    return decorate


def parsed(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that were given, with lists and numbers read from text, or raise UsageError."""
    given = {name: value for name, value in settings.items() if value is not None}
    for name in ("hidden", "channels"):
        if name in given:
            given[name] = _sizes(name, given[name])
    for name, word in (("anchor_weight", "auto"), ("precision", "learned")):
        if name in given:
            given[name] = _number(name, given[name], word)
    for text in given.pop("objective_settings", None) or ():
        name, value = _own(text)
        given[name] = value
    return given


def _own(text: str) -> tuple[str, float | str]:
    from rosetta.errors import UsageError

    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise UsageError(f"--set is {text!r}; expected NAME=VALUE, such as tc_weight=4")
    try:
        return name.strip().replace("-", "_"), float(value)
    except ValueError:
        return name.strip().replace("-", "_"), value.strip()


def _sizes(name: str, text: str) -> tuple[int, ...]:
    from rosetta.errors import UsageError

    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--{name} is {text!r}; expected sizes such as 512,256") from error


def _number(name: str, text: str, word: str) -> float | str:
    from rosetta.errors import UsageError

    try:
        return text if text == word else float(text)
    except ValueError as error:
        raise UsageError(f"--{name.replace('_', '-')} is {text!r}; expected {word} or a number") from error


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Let the file's keys stand for options that are not given; refuse what is no option of the command."""
    if path is None:
        return None
    import difflib
    import tomllib

    from rosetta.errors import SourceError, UsageError
    from rosetta.files import read_small

    from .errors import exit_on_error

    with exit_on_error():
        try:
            values = tomllib.loads(read_small(path, limit=1 << 20, what="a TOML file of settings").decode())
        except FileNotFoundError as error:
            raise SourceError(f"there is no file {path}: check the path, or the folder that you are in") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SourceError(f"{path} is no TOML file: {error}") from error
        known = {p.name.replace("_", "-") for p in context.command.params if p.name} - {"config", "json", "help"}
        problems = []
        for key in values:
            if key.replace("_", "-") not in known:
                near = difflib.get_close_matches(key.replace("_", "-"), known, n=1)
                problems.append(f"{key} is no option of this command" + (f"; did you mean {near[0]}?" if near else ""))
            elif isinstance(values[key], dict):
                problems.append(f"{key} is a table, but a value was expected")
        if problems:
            raise UsageError(f"{path} cannot be used:\n  - " + "\n  - ".join(problems))
    repeatable = {p.name for p in context.command.params if getattr(p, "multiple", False)}
    context.default_map = {
        name: _as_option(value, repeats=name in repeatable)
        for name, value in ((key.replace("-", "_"), value) for key, value in values.items())
    }
    return path


def _as_option(value: Any, *, repeats: bool) -> Any:
    """Return a value of TOML as it would be given on the command line."""
    if repeats:
        return [str(each) for each in (value if isinstance(value, list) else [value])]
    if isinstance(value, list):
        return ",".join(str(each) for each in value)
    return value if isinstance(value, bool) else str(value)


Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.toml", callback=_read_config, is_eager=True,
        help="Take options from a file, by their names; those on the command line win.",
    ),
]  # fmt: skip
