"""`rosetta demo`."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import exit_on_error
from .options import Force, Json, Seed
from .render import emit, table

if TYPE_CHECKING:
    from rosetta.schemas.reports import DemoReport, DemoRow

    from rosetta.arrays import Array

NETWORK = ["--latent-dim", "8", "--hidden", "256,128", "--batch-size", "64"]
EPOCHS = "150"
BOBS: tuple[tuple[str, str, str | None], ...] = (  # folder, name, the bundle it is anchored to
    ("bob-unanchored", "Bob, without anchors", None),
    ("bob-observed", "Bob, 64 observed points", "alice-observed.h5"),
    ("bob-decoded", "Bob, 1,024 decoded points", "alice-decoded.h5"),
)
SENDER = [
    "--title", "Handwritten digits 0–4", "--creator", "Alice", "--license", "CC-BY-4.0",
    "--citation", "Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI",
    "--terms", "For teaching.", "--modality", "image",
]  # fmt: skip


def demo(
    ctx: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write to.")] = Path("rosetta-demo"),
    seed: Seed = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """Run a complete example with handwritten digits in about a minute: Alice sends a bundle, Bob trains on it."""
    with exit_on_error():
        from rosetta.charts.paper import pyplot
        from rosetta.errors import OutputError

        pyplot()  # say now, not after the training, that matplotlib is missing
        if output.exists() and not force:
            raise OutputError(f"{output} exists already: choose another with -o, or replace what is in it with --force")
        started = time.perf_counter()
        with ExitStack() as stack:
            if json:
                stack.enter_context(redirect_stdout(sys.stderr))
            output.mkdir(parents=True, exist_ok=True)
            _run_steps(partial(_rosetta, ctx.find_root().command), output, seed, force)
            report = _summarise(output, seed, force, started)
        emit(report, as_json=json, text=lambda: _show(report))


def _run_steps(rosetta: Callable[..., None], folder: Path, seed: int, force: bool) -> None:
    _say("Alice has the digits 0–4, Bob has 5–9. Neither sees the other's data.")
    _write_data(folder, seed, force)
    common = ["--seed", str(seed)] + (["--force"] if force else [])
    training = [*NETWORK, "--epochs", EPOCHS, *common]
    tight = ["--anchor-tolerance", "0.02"]

    def path(name: str) -> str:
        return str(folder / name)

    _say("Alice trains a VAE, and distils what she may share.")
    rosetta("train", path("alice.npz::train"), "-o", path("alice"), *training)
    rosetta("distill", path("alice"), path("alice.npz::train"), "-o", path("alice-observed.h5"), *SENDER,
             "--origin", "observed", *common)  # fmt: skip
    rosetta("distill", path("alice"), path("alice.npz::train"), "-o", path("alice-decoded.h5"), *SENDER,
             "--origin", "decoded", "--pairs", "1024", *common)  # fmt: skip
    _say("Bob receives the two bundles, and nothing else.")
    for name in ("alice-observed.h5", "alice-decoded.h5"):
        rosetta("validate", path(name))
    _say("Bob trains on his own digits: without anchors, then in Alice's space.")
    for folder_name, _, bundle in BOBS:
        anchors = ["--anchors", path(bundle), *tight] if bundle else []
        rosetta("train", path("bob.npz::train"), "-o", path(folder_name), *anchors, *training)
    _say("Bob proves that he is in Alice's space, on pairs that no training saw.")
    for folder_name, _, bundle in BOBS:
        rosetta("check", path(folder_name), path(bundle or "alice-observed.h5"), "--seed", str(seed), ok=(0, 1))
    _say("For this demo only, Alice's held-out digits are put through everybody's encoder.")
    for name in ("alice", *(each[0] for each in BOBS)):
        rosetta("embed", path(name), path("alice.npz::held_out"), "-o", path(f"{name}-latents.npy"), *common[2:])
    for folder_name, _, _ in BOBS:
        rosetta("compare", path("alice-latents.npy"), path(f"{folder_name}-latents.npy"))


def _write_data(folder: Path, seed: int, force: bool) -> None:
    import numpy as np
    from sklearn.datasets import load_digits

    from rosetta.files import atomic_file

    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(images))
    for name, mine in (("alice", digits.target < 5), ("bob", digits.target >= 5)):
        rows = order[mine[order]]
        n_held_out = len(rows) // 5
        arrays = {
            "train": images[rows[n_held_out:]],
            "train_labels": digits.target[rows[n_held_out:]],
            "held_out": images[rows[:n_held_out]],
            "held_out_labels": digits.target[rows[:n_held_out]],
        }
        with atomic_file(folder / f"{name}.npz", force=force) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)
        typer.echo(f"wrote {folder / name}.npz: {len(rows) - n_held_out} digits to train on, {n_held_out} held out")


def _summarise(folder: Path, seed: int, force: bool, started: float) -> DemoReport:
    import numpy as np
    from rosetta.schemas.reports import DemoReport

    from rosetta.bundle import Bundle
    from rosetta.charts.spaces import Panel, latent_spaces

    alice, bob = np.load(folder / "alice.npz"), np.load(folder / "bob.npz")
    reference = np.load(folder / "alice-latents.npy")
    rows, panels = [], [Panel("Alice", "her held-out digits", reference, alice["held_out_labels"])]
    for run, name, bundle in BOBS:
        latents = np.load(folder / f"{run}-latents.npy")
        row, bobs = _measure(folder, run, name, bundle, reference, latents, bob["held_out"], seed)
        anchors = Bundle.open(folder / bundle).anchor_latents if bundle else None
        rows.append(row)
        panels.append(Panel(name, f"fraction of variance unexplained: {row.fvu:.3f}", latents, alice["held_out_labels"],
                            others=bobs, anchors=anchors))  # fmt: skip
    picture = folder / "spaces.png"
    latent_spaces(
        panels, picture, title="The same held-out digits of Alice's, through four encoders, in her coordinates",
        legend="Alice's digits   (grey: Bob's 5–9; crosses: anchors)",
        force=force,
    )  # fmt: skip
    without, observed, decoded = (row.fvu for row in rows)
    return DemoReport(
        folder=str(folder),
        rows=tuple(rows),
        observed_improvement=without / observed,
        decoded_improvement=without / decoded,
        picture=str(picture),
        elapsed_s=round(time.perf_counter() - started, 1),
    )


def _measure(
    folder: Path,
    run: str,
    name: str,
    bundle: str | None,
    reference: Array,
    latents: Array,
    held_out: Array,
    seed: int,
) -> tuple[DemoRow, Array]:
    """Return a row of the table, and the latents of Bob's held-out digits."""
    from rosetta.schemas.reports import DemoRow

    from rosetta.bundle import Bundle
    from rosetta.metrics.fvu import fvu
    from rosetta.models.checkpoint import load_run
    from rosetta.models.vae import decode_array, encode_array
    from rosetta.verbs.check import check

    model = load_run(folder / run).model
    bobs, _ = encode_array(model, held_out)
    squared = ((decode_array(model, bobs) - held_out) ** 2).reshape(len(held_out), -1).sum(axis=1)
    report = check(folder / run, folder / (bundle or "alice-observed.h5"), seed=seed)
    row = DemoRow(
        model=name,
        run=str(folder / run),
        n_anchors=int(Bundle.open(folder / bundle).is_anchor.sum()) if bundle else 0,
        fvu=fvu(reference, latents),
        reconstruction=float(squared.mean()),
        verdict=report.verdict,
        checks_fvu=report.fvu.value,
    )
    return row, bobs


def _show(report: DemoReport) -> None:
    _say("What came of it")
    table(
        ("", "fvu¹", "reconstruction²", "rosetta check"),
        [(r.model, f"{r.fvu:.3f}", f"{r.reconstruction:.3f}", r.verdict or "–") for r in report.rows],
    )
    typer.echo(
        "¹ fraction of variance unexplained: of Alice's latents of her held-out digits by Bob's encoder, with no map\n"
        "² squared error of Bob's held-out digits, summed over the 64 pixels\n"
        f"\n64 observed points cut the fvu {report.observed_improvement:.0f}-fold, 1,024 decoded points "
        f"{report.decoded_improvement:.0f}-fold,\nand not one of Alice's digits is in the decoded bundle.\n"
        f"\nPicture: {report.picture}    Everything: {report.folder}/    ({report.elapsed_s:.0f} s)"
    )


def _say(text: str) -> None:
    typer.echo(f"\n── {text}\n")


def _rosetta(command: Any, *arguments: str, ok: tuple[int, ...] = (0,)) -> None:
    """Print a command line as a user would type it, and run it."""
    typer.echo(f"$ rosetta {shlex.join(arguments)}")
    code = command.main(list(arguments), prog_name="rosetta", standalone_mode=False)
    typer.echo()
    if (code or 0) not in ok:
        sys.exit(int(code))
