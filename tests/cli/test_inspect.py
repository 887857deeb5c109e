"""`rosetta inspect`: what the page says, on a terminal and in a pipe, of honest bundles and of others."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rosetta.cli.page import NAME_WIDTH, gallery, render
from rosetta.cli.words import shorten
from rosetta.schemas.manifest import (
    Coverage,
    Creator,
    DataDescription,
    InputDescription,
    LatentSpace,
    OriginEntry,
    Parent,
    PreprocessingStep,
    Selection,
)

import rosetta
from rosetta.bundle import layout
from rosetta.bundle.signature.envelope import signature_path
from tests import builders
from tests.conftest import Lab

COMMAND = [sys.executable, "-c", "from rosetta.cli import main; main()", "inspect"]
LONG = "terms\n" + "[red]loud[/red] \x1b[2J\u202e " * 5000


def _facts(page: str) -> dict[str, str]:
    """The page's last line for every name."""
    return {line[:NAME_WIDTH].strip(): line[NAME_WIDTH:].strip() for line in page.splitlines() if line}


def _on_terminal(path: Path, *options: str, columns: int = 80, **environment: str) -> str:
    """Run the command on a pseudo-terminal and return all that it wrote to it."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    hidden = ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "LINES")
    variables = {k: v for k, v in os.environ.items() if k not in hidden}
    variables |= {"TERM": "xterm-256color", "COLUMNS": str(columns), **environment}
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*COMMAND, str(path), *options], stdout=theirs, stderr=theirs, env=variables)
    os.close(theirs)
    written = b""
    try:
        while block := os.read(ours, 65536):
            written += block
    except OSError:  # Linux says so at the end
        pass
    os.close(ours)
    assert process.wait() == 0
    return written.decode()


def _rendered(path: Path, width: int, color_system: str | None = "truecolor") -> list[str]:
    """The lines that a terminal of `width` columns is given, without their colours."""
    report, bundle = rosetta.inspect(path)
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=True, color_system=color_system, highlight=False)
    render(report, gallery(bundle, width - 2), console)
    return re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue()).splitlines()


def test_the_manifests_bytes_are_printed_as_they_are(run, lab: Lab):
    report, printed = run("inspect", lab.observed, "--json").json, run("inspect", lab.observed, "--manifest")

    assert hashlib.sha256(printed.out.encode()).hexdigest() == report["bundle_id"]


def test_it_shows_what_a_person_asks(run, lab: Lab):
    page = run("inspect", lab.decoded).out

    for words in (
        "title          Digits\n",
        "creator        Alice\n",
        "licence        CC0-1.0\n",
        "terms of use   Be kind.\n",
        "citation       Alice (2026)\n",
        "latent space   unnamed, 4 dimensions\n",
        "pairs          288: 256 anchors and 32 checks (288 decoded)\n",
        "origin         decoded (made by the sender's decoder: not data)\n",
        "inputs         array, 8 × 8, 32-bit floats\n",
        "preprocessing  none (inputs are as recorded)\n",
        "data           720 items\n",
        "generation     0 (the first model of this space)\n",
        "audit          decoded: ",
        "signature      unsigned (nobody has put a signature to these words: anybody can have written them)\n",
    ):
        assert words in page, words


def test_the_senders_audit_is_shown_as_a_claim(run, tmp_path: Path):
    told = {
        "policy": {"sha256": "a" * 64, "n_excluded_rows": 4},
        "audit": {
            "origins": [{"origin": "decoded", "verdict": "no item found"}],
            "attacks": [{"attack": "inputs", "advantage": 0.05, "caught_at_1_percent": 0.012}],
        },
    }

    page = run("inspect", builders.write(tmp_path / "b.h5", disclosure_audit=told)).out

    assert (
        "audit          claimed by the sender, not checked\n"
        "audit          decoded: no item found\n"
        "audit          attack by inputs (advantage 0.05, caught at 1 % false positives 0.012)\n"
        f"audit          policy {'a' * 64} (the sender's, under which it was made)\n"
    ) in page


def test_numbers_that_a_bundle_does_not_tell_are_not_made_up(run, tmp_path: Path):
    path = builders.write(
        tmp_path / "b.h5", data=DataDescription(),
        selection=Selection(method="own", coverage=Coverage(quantisation_error=0.1, largest_share=0.2)),
    )  # fmt: skip

    facts = _facts(run("inspect", path).out)

    assert facts["data"] == "number of items not stated"
    assert facts["largest gap"] == "not stated (lower is better: of the farthest item)"
    assert "seed" not in facts["selection"]


def test_a_descendant_names_its_parent(run, lab: Lab, tmp_path: Path):
    rosetta.train(lab.bob, tmp_path / "bob", anchors=[lab.observed], hidden=(16,), epochs=1)
    rosetta.distill(
        tmp_path / "bob", lab.bob, tmp_path / "bob.h5", license="CC0-1.0", title="T", creators=["Bob"], pairs=8
    )

    facts, parent = _facts(run("inspect", tmp_path / "bob.h5").out), rosetta.inspect(lab.observed)[0]

    assert facts["generation"] == "1 (steps from the first model of this space)"
    assert facts["anchored to"] == parent.content_id
    assert facts["space id"] == parent.manifest.content.space.id


def test_figures_say_what_better_is(run, tmp_path: Path):
    facts = _facts(run("inspect", builders.write(tmp_path / "b.h5")).out)

    assert facts["quantisation"] == "0.1 (lower is better: gap to an anchor, RMS, in spreads)"
    assert facts["largest gap"] == "0.5 (lower is better: of the farthest item)"
    assert facts["largest share"] == "0.2 (lower is better: of one anchor; 0.083 if even)"
    assert facts["silhouette"] == "0.3 (higher is better: -1 to 1)"


def test_what_a_bundle_may_leave_out_is_left_out_of_the_page(run, tmp_path: Path):
    optional = (layout.LATENTS_SD, layout.WEIGHTS, layout.SPACE_MEAN, layout.SPACE_COVARIANCE)
    arrays = {name: array for name, array in builders.arrays().items() if name not in optional}
    figures = Coverage(quantisation_error=0.1, largest_gap=0.5, largest_share=0.2)
    path = builders.write(
        tmp_path / "b.h5", arrays, terms_of_use=None, citation=None, preprocessing=(),
        selection=Selection(method="own", seed=3, coverage=figures),
    )  # fmt: skip

    facts, report = _facts(run("inspect", path).out), run("inspect", path, "--json").json

    assert not {"posterior sd", "weights", "not finite", "extension", "requires", "features", "description"} & set(
        facts
    )
    assert (facts["terms of use"], facts["citation"], facts["selection"]) == (
        "none stated",
        "none stated",
        "own, seed 3",
    )
    assert facts["silhouette"].startswith("not stated")
    assert (report["posterior_sd"], report["weight_range"]) == (None, None)
    assert facts["spread"] == f"{report['total_sd']:.4g} (total sd; the prior's is 1.732)"


def test_ranges_and_spreads_are_those_of_the_arrays(tmp_path: Path):
    arrays = builders.arrays()

    report, _ = rosetta.inspect(builders.write(tmp_path / "b.h5", arrays))

    assert report.input_range == (arrays[layout.INPUTS].min(), arrays[layout.INPUTS].max())
    assert report.latent_range == (arrays[layout.LATENTS].min(), arrays[layout.LATENTS].max())
    sds = arrays[layout.LATENTS_SD]
    assert report.posterior_sd == (sds.min(), np.median(sds), sds.max())
    assert report.total_sd == pytest.approx(np.sqrt(np.trace(arrays[layout.SPACE_COVARIANCE])))


STEPS = {
    "scale(0, 255) (0 becomes 0, and 255 becomes 1)": PreprocessingStep(
        name="scale", parameters={"low": 0, "high": 255}
    ),
    "standardize (each feature less its mean, over its sd)": PreprocessingStep(
        name="standardize", arrays={"mean": "/preprocessing/0.mean"}
    ),
    "log": PreprocessingStep(name="log"),
    "crop(at (1, 2), how {n}, wide yes, 1 array)": PreprocessingStep(
        name="crop", parameters={"at": [1, 2], "how": "{n}", "wide": True}, arrays={"mask": "/preprocessing/0.mask"}
    ),
    "scale(high many, low 1 key)": PreprocessingStep(name="scale", parameters={"high": "many", "low": {"a": 1}}),
}


@pytest.mark.parametrize("words", STEPS)
def test_preprocessing_is_told_in_words(run, tmp_path: Path, words: str):
    path = builders.write(tmp_path / "b.h5", preprocessing=(STEPS[words],))

    assert _facts(run("inspect", path).out)["preprocessing"] == words


def _other(path: Path) -> Path:
    builders.write(path, title="Another title")
    return path


SIGNATURES = {
    "nothing there": ("unsigned", "anybody can have written them"),
    "nothing there, keys": ("unsigned", "anybody can have written them"),
    "signed": ("unverified", "With the signer's public key: rosetta verify"),
    "signed, keys": ("verified", "signed by Alice (SHA256:"),
    "signed by another, keys": ("refused", "no trusted key signed this bundle"),
    "altered": ("refused", "the manifest was altered after signing"),
    "altered, keys": ("refused", "the manifest was altered after signing"),
    "rubbish": ("refused", "malformed"),
}


@pytest.mark.parametrize("case", SIGNATURES)
def test_a_signature_has_a_state_and_the_page_is_no_verdict(run, tmp_path: Path, case: str):
    path, trust = builders.write(tmp_path / "b.h5"), builders.trust(tmp_path / "trust.toml")
    what, _, keys = case.partition(", ")
    if what != "nothing there":
        builders.sign(path, number=2 if "another" in what else 1)
    if what == "altered":
        builders.write(path, title="Another title")
    if what == "rubbish":
        (tmp_path / "b.h5.sig.json").write_text("\x1b[2J{")
    options = ["--trust-file", trust] if keys else []

    page, document = run("inspect", path, *options), run("inspect", path, *options, "--json").json["signature"]
    report, _ = rosetta.inspect(path, trust_file=trust) if keys else rosetta.inspect(path)

    state, words = SIGNATURES[case]
    assert page.code == 0
    assert _facts(page.out)["signature"].startswith(f"{state} (")
    assert words in _facts(page.out)["signature"]
    assert (document["state"], report.signature.state) == (state, state)
    assert [signer["name"] for signer in document["signers"]] == (["Alice"] if state == "verified" else [])
    assert "\x1b" not in page.out


def test_a_file_may_have_a_name_that_is_no_text(run, tmp_path: Path):
    path, signed = tmp_path / os.fsdecode(b"\xff b.h5"), builders.sign(tmp_path / "b.h5")
    try:
        signed.rename(path)
        signature_path(signed).rename(signature_path(path))
    except OSError:
        pytest.skip("this file system has no such names")

    document, page = run("inspect", path, "--json").json, run("inspect", path).out

    assert document["bundle"] == f"{tmp_path}/� b.h5"
    assert f"rosetta verify '{tmp_path}/� b.h5' --trusted-key KEY.pub" in page


def test_signatures_by_others_beside_a_trusted_one_are_counted(run, tmp_path: Path):
    from rosetta.verbs.sign import keygen, sign

    path = builders.sign(tmp_path / "b.h5")
    keygen(tmp_path / "mallory")
    sign(path, key=tmp_path / "mallory")

    facts = _facts(run("inspect", path, "--trust-file", builders.trust(tmp_path / "trust.toml")).out)

    assert facts["signature"].startswith("verified (signed by Alice")
    assert facts["signature"].endswith("and 1 more by nobody that you trust)")


def test_a_pipe_gets_one_fact_a_line_and_nothing_else(run, lab: Lab):
    page = run("inspect", lab.observed)

    assert page.err == ""
    assert re.fullmatch(r"[^\x00-\x09\x0b-\x1f\x7f─-▟]*", page.out)
    lines = [line for line in page.out.splitlines() if line]
    assert all(re.fullmatch(rf"\S.{{{NAME_WIDTH - 1}}}  \S.*", line) for line in lines)


def test_a_terminal_gets_a_page_with_colours_and_pictures(lab: Lab):
    page = _on_terminal(lab.decoded, COLORTERM="truecolor")

    assert "Who made it, and its terms" in page
    assert "╭" in page
    assert "▀" in page
    assert "\x1b[38;2;" in page
    assert "The first 8 of 256 anchors, made by the sender's decoder: not data" in page
    assert "288: 256 anchors and 32 checks (288 decoded)" in page


@pytest.mark.parametrize(
    ("environment", "options", "shown", "absent"),
    [
        ({}, (), ["▀", "\x1b[38;5;"], ["\x1b[38;2;"]),
        ({"NO_COLOR": "1"}, (), ["@", "The first 8 of"], ["▀", "\x1b[36m", "\x1b[38;"]),
        ({"TERM": "xterm"}, (), ["@", "The first 8 of"], ["▀", "\x1b[38;"]),
        ({"TERM": "dumb"}, (), ["╭"], ["▀", "The first", "\x1b"]),
        ({"TERM": "dumb"}, ("--thumbnails",), ["The first 8 of", "@"], ["▀", "\x1b"]),
        ({}, ("--no-thumbnails",), ["╭"], ["▀", "The first"]),
        ({"COLUMNS": "9"}, ("--thumbnails",), ["creator"], ["Traceback"]),
    ],
)
def test_a_terminal_gets_what_it_can_show(lab: Lab, environment, options, shown, absent):
    page = _on_terminal(lab.observed, *options, **environment)

    assert all(each in page for each in shown)
    assert not [each for each in absent if each in page]


def test_thumbnails_in_a_pipe_are_characters(run, lab: Lab):
    page = run("inspect", lab.observed, "--thumbnails").out

    facts, _, pictures = page.partition("\nThe first ")
    assert facts == run("inspect", lab.observed).out
    caption, legend, *lines = pictures.splitlines()
    assert caption == "8 of 32 anchors, items of the sender's data, which the file discloses"
    assert legend == "Dark is 0, bright is 1"
    assert len(lines) == 4
    assert set("".join(lines)) <= set(" .:-=+*#%@")
    assert max(map(len, lines)) <= 80


def test_who_asks_for_thumbnails_of_what_is_no_image_is_told(run, tmp_path: Path):
    arrays = builders.arrays()
    arrays[layout.INPUTS] = arrays[layout.INPUTS].reshape(20, 20)
    path = builders.write(tmp_path / "b.h5", arrays)

    assert "there are no thumbnails: inputs of shape [20] are no images" in run("inspect", path, "--thumbnails").err
    assert run("inspect", path).err == ""


def test_the_caption_names_every_origin_that_is_shown_and_no_other(tmp_path: Path):
    def caption(*counts: tuple[str, int]) -> str:
        origins = tuple(OriginEntry(origin=origin, n_pairs=n) for origin, n in counts)
        _, bundle = rosetta.inspect(builders.write(tmp_path / "b.h5", origins=origins))
        return gallery(bundle, 80).caption

    of = "The first 8 of 12 anchors, "
    averaged, decoded = "means of several items of the sender's data", "made by the sender's decoder: not data"
    assert caption(("averaged", 8), ("decoded", 12)) == of + averaged
    assert caption(("averaged", 7), ("decoded", 13)) == f"{of}{averaged} and {decoded}"
    assert caption(("decoded", 1), ("averaged", 1), ("decoded", 18)) == f"{of}{decoded} and {averaged}"


def test_a_strangers_text_cannot_forge_lines_or_move_the_cursor(run, tmp_path: Path):
    title = "T\nbundle id      forged\x1b[31m\u202ereversed"
    path = builders.write(tmp_path / "b.h5", title=title, terms_of_use="a\nbundle id      forged")

    page = run("inspect", path).out

    assert "title          T\\nbundle id      forged\\x1b[31m\\u202ereversed\n" in page
    assert "terms of use   a\nterms of use   bundle id      forged\n" in page
    assert not [line for line in page.splitlines() if line.startswith("bundle id      forged")]


def test_a_strangers_text_is_no_markup(tmp_path: Path):
    words = "[red]x[/] [/] [link=https://example.org]y[/link] :smile: [bold"
    path = builders.write(tmp_path / "b.h5", title=words, description=words, license=words, terms_of_use=words)

    page = "\n".join(_rendered(path, 120))

    assert page.count(words) == 4


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that tells too much of everything."""
    values = builders.arrays()
    document = builders.manifest(
        values,
        title=LONG[:100_000], description=LONG[:100_000], license=LONG[6:100_000], terms_of_use="\n" * 100_000,
        citation="a\n" * 50_000,
        creators=tuple(Creator(name=f"{n} {LONG[6:60]}", affiliation="x" * 300) for n in range(3000)),
        parents=tuple(Parent(content_id=f"{n:064x}", relation="merged_from") for n in range(5000)),
        software={f"{n} {LONG[6:90]}": "v" * 900 for n in range(400)},
        disclosure_audit={"a" * 500: [[1]], "b": {"c": {}}, "d": list(range(500))},
        preprocessing=tuple(PreprocessingStep(name=f"{n}" + LONG[:300]) for n in range(300)),
        origins=tuple(OriginEntry(origin=("mixed", "public")[n % 2], n_pairs=1) for n in range(20)),
    )  # fmt: skip
    document = document.model_copy(update={"extensions": {f"org.example.e{n}": {"n": n} for n in range(10_000)}})
    path = tmp_path_factory.mktemp("hostile") / "b.h5"
    return builders.write_raw(path, values, builders.text_of(document))


def test_a_page_of_too_much_stays_short(run, hostile: Path):
    started = time.perf_counter()
    page = run("inspect", hostile)

    assert page.code == 0
    assert time.perf_counter() - started < 20  # most of it opens the bundle
    assert "creator        … (2,992 more)\n" in page.out
    assert "merged from    … (4,992 more)\n" in page.out
    assert "extension      … (9,992 more)\n" in page.out
    assert "preprocessing  … (292 more)\n" in page.out
    assert "… (99,700 more characters)\n" in page.out
    assert "20: 12 anchors and 8 checks (10 mixed, 10 public)" in page.out
    assert len(page.out.splitlines()) < 120
    assert max(map(len, page.out.splitlines())) < 20_000
    assert "\x1b" not in page.out


@pytest.mark.parametrize("width", [1, 2, 9, 16, 31, 32, 80, 123, 124, 140, 300])
def test_no_terminal_is_too_narrow_and_no_bundle_too_much(hostile: Path, lab: Lab, width: int):
    for path in (hostile, lab.observed):
        lines = _rendered(path, width)

        assert len(lines) < 60_000 / width + 500
        assert max(map(len, lines)) <= max(min(width, 140), NAME_WIDTH + 3)
        assert not re.search(r"[\x00-\x1f\x7f\u202e]", "".join(lines))


def _arrays(**changes: np.ndarray) -> dict[str, np.ndarray]:
    paths = {"inputs": layout.INPUTS, "latents": layout.LATENTS, "sds": layout.LATENTS_SD, "roles": layout.ROLES,
             "covariance": layout.SPACE_COVARIANCE}  # fmt: skip
    return builders.arrays() | {paths[name]: array for name, array in changes.items()}


NOTHING = np.full((20, 4, 5), np.nan, dtype=np.float32)
SOME = np.where(np.arange(400).reshape(20, 4, 5) % 7, 0.5, np.inf).astype(np.float32)
ODD = {
    "nothing but NaN": (
        _arrays(inputs=NOTHING, latents=NOTHING[:, :3, 0], sds=NOTHING[:, :3, 0], covariance=np.full((3, 3), np.nan)),
        "no finite value (declared: 0 to 1)", "460 numbers of inputs and latents",
    ),
    "some infinity": (_arrays(inputs=SOME), "0.5 to 0.5 (declared: 0 to 1)", "58 numbers of inputs and latents"),
    "a constant": (_arrays(inputs=np.zeros((20, 4, 5), dtype=np.float32)), "0 to 0 (declared: 0 to 1)", None),
    "minus zero": (_arrays(inputs=-np.zeros((20, 4, 5), dtype=np.float32)), "0 to 0 (declared: 0 to 1)", None),
    "no anchor": (_arrays(roles=np.ones(20, dtype=np.uint8)), None, None),
    "unknown roles": (_arrays(roles=np.full(20, 9, dtype=np.uint8)), None, None),
    "huge latents": (_arrays(latents=np.full((20, 3), 3e38, dtype=np.float32)), None, None),
    "a negative variance": (_arrays(covariance=-np.eye(3)), None, None),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_odd_numbers_have_a_page_too(run, tmp_path: Path, case: str):
    values, input_range, nonfinite = ODD[case]
    path = builders.write_raw(tmp_path / "b.h5", values, builders.text_of(builders.manifest(values)))

    page, document = run("inspect", path, "--thumbnails"), run("inspect", path, "--json")

    assert (page.code, document.code) == (0, 0)
    assert page.err == ""
    facts = _facts(page.out.partition("\nThe first")[0])
    assert input_range is None or facts["input range"] == input_range
    assert facts.get("not finite") == nonfinite
    assert ("stand out" in page.out) == (nonfinite is not None)
    assert ("The first 8 of 20 check pairs" in page.out) == ("role" in case or "no anchor" in case)
    assert len(_rendered(path, 80)) > 40


@pytest.mark.parametrize(
    ("n_pairs", "n_dims", "shape"), [(1, 1, ()), (2, 1, (1,)), (3, 1000, (4, 4)), (2, 2, (1,) * 20)]
)
def test_extents_of_every_size_have_a_page(run, tmp_path: Path, n_pairs: int, n_dims: int, shape: tuple[int, ...]):
    values = {
        layout.INPUTS: np.zeros((n_pairs, *shape), dtype=np.float32),
        layout.LATENTS: np.zeros((n_pairs, n_dims), dtype=np.float32),
        layout.ROLES: np.zeros(n_pairs, dtype=np.uint8),
    }
    document = builders.manifest(
        values,
        space=LatentSpace(
            id=builders.SPACE, n_dims=n_dims, statistic="posterior_mean", prior="standard_normal", name="s"
        ),
        input=InputDescription(shape=shape, dtype="f4", value_range=(0.0, 0.0), axis_names=("a",) * len(shape) or None),
        origins=(OriginEntry(origin="moments", n_pairs=n_pairs),),
    )
    path = builders.write_raw(tmp_path / "b.h5", values, builders.text_of(document))

    facts = _facts(run("inspect", path).out)

    assert facts["latent space"] == f"s, {n_dims:,} dimension{'' if n_dims == 1 else 's'}"
    expected = {(): "1 number,", (1,): "1 number (a)", (4, 4): "4 × 4 (a × a)"}.get(shape, "1 × 1 × 1 ×")
    assert facts["inputs"].startswith(f"array, {expected}")
    assert len(_rendered(path, 80)) > 40


def test_arrays_that_do_not_fit_each_other_are_refused_with_the_rule(run, tmp_path: Path):
    values = _arrays(roles=np.zeros(3, dtype=np.uint8))
    path = builders.write_raw(tmp_path / "b.h5", values, builders.text_of(builders.manifest(values)))

    result = run("inspect", path)

    assert result.code == 2
    assert "RZ-V114 at /pairs/roles: 3 rows, but /pairs/inputs has 20. For all that is wrong, see rosetta" in result.err


@given(st.text(max_size=40), st.integers(0, 40))
@settings(deadline=None)
def test_any_text_at_all_becomes_one_printable_line(text: str, limit: int):
    line = shorten(text, limit)

    assert line.isprintable()
    assert ("more characters)" in line) >= (len(text) > limit)
