"""`rosetta distill`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .dask import dask_executor
from .data import takes_source
from .distilled import show
from .errors import exit_on_error
from .options import (
    DATA_HELP,
    MODEL_HELP,
    AllowCode,
    AllowPickle,
    Device,
    DeviceOption,
    Features,
    Force,
    Groups,
    Json,
    Memory,
    Preprocess,
)
from .render import emit, note, row_progress

if TYPE_CHECKING:
    pass

MODELS, POINTS, PRIVACY, WORDS, SIZE = "Model", "Points", "What they reveal", "Words", "At size"


@takes_source
def distill(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=f"{MODEL_HELP} Left out with --latents.")],
    data: Annotated[str | None, typer.Argument(metavar="DATA", help=DATA_HELP, show_default=False)] = None,
    *,
    latents: Annotated[
        str | None,
        typer.Option(
            metavar="Z",
            help="Posterior means of DATA's items, computed elsewhere: there is no MODEL then.",
            rich_help_panel=MODELS,
        ),
    ] = None,
    decoder: Annotated[
        Path | None,
        typer.Option(
            metavar="PROGRAM",
            help="The decoder of a MODEL that is an encoder only: a program from latents to inputs.",
            rich_help_panel=MODELS,
        ),
    ] = None,
    spread: Annotated[
        Literal["sd", "variance", "log-variance"] | None,
        typer.Option(help="What MODEL's second output is, if it gives the posterior's spread.", rich_help_panel=MODELS),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="B.h5", help="The bundle to write.")],
    license: Annotated[
        str,
        typer.Option(metavar="SPDX", help="Licence of the bundle, such as CC-BY-4.0.", rich_help_panel=WORDS),
    ],
    title: Annotated[str, typer.Option(help="Title of the bundle.", rich_help_panel=WORDS)],
    creator: Annotated[
        list[str],
        typer.Option(
            metavar="NAME", help="'NAME[; orcid=…][; affiliation=…]'; may be repeated.", rich_help_panel=WORDS
        ),
    ],
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=N]",
            help="Where points come from: decoded, averaged, mixed, moments, public, or observed (items of DATA). "
            "May be repeated, each with N anchors of it.",
            show_default="decoded; moments without a decoder",
            rich_help_panel=POINTS,
        ),
    ] = None,
    pairs: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="Anchor pairs, to train with; auto doubles observed ones until the coverage hardly improves.",
            show_default="64 observed, averaged or public, 4096 others",
            rich_help_panel=POINTS,
        ),
    ] = None,
    checks: Annotated[
        int,
        typer.Option(min=0, help="Check pairs of the same kinds, held out for the proof.", rich_help_panel=POINTS),
    ] = 32,
    observed_checks: Annotated[
        int, typer.Option(min=0, help="Items of DATA, as further check pairs.", rich_help_panel=POINTS)
    ] = 0,
    select: Annotated[
        str | None,
        typer.Option(
            help="How observed or public points are chosen: kmeans, minibatch-kmeans, agglomerative, gmm, k-medoids, "
            "farthest, herding or random.",
            show_default="kmeans",
            rich_help_panel=POINTS,
        ),
    ] = None,
    stratify: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN|density",
            help="Choose observed points from each group alike, so that the rare are there: a column of DATA, a file "
            "of labels, or layers of density.",
            rich_help_panel=POINTS,
        ),
    ] = None,
    members: Annotated[
        int, typer.Option(min=2, help="Items behind an averaged point, at least.", rich_help_panel=POINTS)
    ] = 10,
    mix: Annotated[int, typer.Option(min=2, help="Items in a mixed point.", rich_help_panel=POINTS)] = 3,
    draw: Annotated[
        str,
        typer.Option(
            help="How latents of decoded points are drawn: moments, mixture, jitter, centroids or boundary.",
            rich_help_panel=POINTS,
        ),
    ] = "moments",
    residuals: Annotated[
        bool,
        typer.Option(
            "--residuals/--no-residuals",
            help="Add to decoded points a share of what the decoder leaves out of items, drawn from its moments.",
            rich_help_panel=POINTS,
        ),
    ] = True,
    reencoding_limit: Annotated[
        float,
        typer.Option(
            help="Decoded points that the encoder puts farther from where they were drawn are dropped; in total "
            "standard deviations of the space.",
            rich_help_panel=POINTS,
        ),
    ] = 1.5,
    points_from: Annotated[
        str | None, typer.Option(metavar="DATA", help="Inputs that you may share, for public.", rich_help_panel=POINTS)
    ] = None,
    store: Annotated[
        Literal["auto", "uint8", "float32"],
        typer.Option(
            help="How inputs are stored; auto takes 8 bits where they hold DATA's own values.", rich_help_panel=POINTS
        ),
    ] = "auto",
    held_out: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Items that the model has not seen, for the audit's membership test.",
            rich_help_panel=PRIVACY,
        ),
    ] = None,
    held_out_groups: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN|DATA",
            help="Whose each of --held-out is, with --groups; by default, its column of the same name.",
            rich_help_panel=PRIVACY,
        ),
    ] = None,
    audit_held_out: Annotated[
        bool,
        typer.Option(
            "--audit-held-out",
            help="Keep what MODEL's training held out (train --validation) out of the points, and test membership with "
            "it.",
            rich_help_panel=PRIVACY,
        ),
    ] = False,
    policy: Annotated[
        Path | None,
        typer.Option(metavar="policy.toml", help="What must hold, or nothing is written.", rich_help_panel=PRIVACY),
    ] = None,
    privacy: Annotated[
        Literal["strict", "standard", "open"],
        typer.Option(
            help="How much the file says beside its points, and which points are refused; open: items may be known.",
            rich_help_panel=PRIVACY,
        ),
    ] = "standard",
    reproducible: Annotated[
        bool,
        typer.Option(
            "--reproducible",
            help="Draw from --seed instead of the system's secret randomness: for tests, since a seed can be guessed.",
            rich_help_panel=PRIVACY,
        ),
    ] = False,
    groups: Groups = None,
    dp_epsilon: Annotated[
        float | None,
        typer.Option(
            help="Differential privacy of averaged or moments points, all together; labels are not covered.",
            rich_help_panel=PRIVACY,
        ),
    ] = None,
    dp_delta: Annotated[
        float | None, typer.Option(help="Its delta, well below 1 / items.", rich_help_panel=PRIVACY)
    ] = None,
    dp_norm: Annotated[
        float | None,
        typer.Option(
            help="Largest distance of an item from the mean that counts; to be chosen without looking at DATA.",
            show_default="half the range's diagonal",
            rich_help_panel=PRIVACY,
        ),
    ] = None,
    terms: Annotated[str | None, typer.Option(help="Terms of use beside the licence.", rich_help_panel=WORDS)] = None,
    description: Annotated[str | None, typer.Option(help="What the latent space is.", rich_help_panel=WORDS)] = None,
    citation: Annotated[str | None, typer.Option(help="How to cite the bundle.", rich_help_panel=WORDS)] = None,
    data_description: Annotated[
        str | None, typer.Option(help="What the data is, without paths.", rich_help_panel=WORDS)
    ] = None,
    space_name: Annotated[str | None, typer.Option(help="Name of the latent space.", rich_help_panel=WORDS)] = None,
    modality: Annotated[
        str | None, typer.Option(help="What an input is, such as image or spectrogram.", rich_help_panel=WORDS)
    ] = None,
    units: Annotated[str | None, typer.Option(help="Units of an input's numbers.", rich_help_panel=WORDS)] = None,
    axes: Annotated[
        str | None, typer.Option(metavar="NAME,NAME,…", help="Names of an input's axes.", rich_help_panel=WORDS)
    ] = None,
    features: Features = None,
    seed: Annotated[
        int,
        typer.Option(min=0, max=2**32 - 1, help="Seed of the audit's attacks; of the draws only with --reproducible."),
    ] = 0,
    device: DeviceOption = Device.auto,
    allow_code: AllowCode = None,
    allow_pickle: AllowPickle = False,
    preprocess: Preprocess = None,
    memory: Memory = None,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Encode on the workers of this Dask scheduler.", rich_help_panel=SIZE),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Keep latents beside the output until it is there, and go on from those of an interrupted try.",
            rich_help_panel=SIZE,
        ),
    ] = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Make or choose Rosetta pairs with a trained MODEL, audit what they reveal, and write them as a bundle."""
    with exit_on_error():
        from rosetta.verbs.distill import distill as run

        notes: list[str] = []
        chosen, items = model_and_data(model, data, has_latents=latents is not None)
        progress = row_progress(f"distilling {output.stem}"), row_progress("auditing the points")
        with dask_executor(dask) as executor, progress[0] as on_rows, progress[1] as on_audit:
            report = run(
                chosen,
                items,
                output,
                latents=latents,
                decoder=decoder,
                spread=spread,
                preprocess=preprocess,
                allow_pickle=allow_pickle,
                memory_gib=memory,
                executor=executor,
                resume=resume,
                stratify=stratify,
                points_from=points_from,
                held_out=held_out,
                held_out_groups=held_out_groups,
                audit_held_out=audit_held_out,
                policy=policy,
                groups=groups,
                license=license,
                title=title,
                creators=creator,
                **({"origin": tuple(origin)} if origin else {}),
                pairs=number_of_pairs(pairs),
                checks=checks,
                observed_checks=observed_checks,
                select=select,
                members=members,
                mix=mix,
                draw=draw,
                residuals=residuals,
                reencoding_limit=reencoding_limit,
                store=store,
                privacy=privacy,
                reproducible=reproducible,
                dp_epsilon=dp_epsilon,
                dp_delta=dp_delta,
                dp_norm=dp_norm,
                terms=terms,
                description=description,
                citation=citation,
                data_description=data_description,
                space_name=space_name,
                modality=modality,
                units=units,
                axes=axes.split(",") if axes else None,
                features=features,
                seed=seed,
                device=device.value,
                allow_code=allow_code,
                force=force,
                on_note=notes.append,
                on_rows=on_rows,
                on_audit=on_audit,
            )
        for each in notes:
            note(each)
        emit(report, as_json=json, text=lambda: show(report))


def model_and_data(model: str, data: Any, *, has_latents: bool) -> tuple[str | None, Any]:
    """Return what the arguments name: with --latents, there is data only."""
    from rosetta.errors import UsageError
    from rosetta.sources import Source

    is_given = data.data is not None if isinstance(data, Source) else data is not None
    if has_latents and is_given:
        raise UsageError("a model and --latents are both given: write rosetta distill DATA --latents Z, without MODEL")
    if has_latents:
        return None, replace(data, data=model) if isinstance(data, Source) else model
    if not is_given:
        raise UsageError("DATA is missing: write rosetta distill MODEL DATA, or rosetta distill DATA --latents Z")
    return model, data


def number_of_pairs(text: str | None) -> int | str | None:
    """Return how many pairs were asked for."""
    from rosetta.errors import UsageError

    if text is None or text == "auto":
        return text
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise UsageError(f"--pairs is {text}; expected auto or a number from 1")
    return int(text)
