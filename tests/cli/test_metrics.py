"""`rosetta metrics`, and the metrics that `rosetta compare` shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rosetta.schemas.metrics import MetricCatalogue
from rosetta.schemas.reports import CompareReport


@pytest.fixture
def latents(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(200, 4))
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "b.npy", a + 0.3 * rng.normal(size=a.shape))
    np.save(tmp_path / "narrow.npy", a[:, :2])
    np.save(tmp_path / "constant.npy", np.ones((200, 4)))
    np.save(tmp_path / "few.npy", a[:3])
    return tmp_path


def test_the_catalogue_is_listed_for_people_and_programs(run):
    text, document = run("metrics"), run("metrics", "--json")

    listed = MetricCatalogue.model_validate_json(document.out)
    assert {"fvu", "fvu_mapped", "cka", "procrustes"} <= {each.metric for each in listed.metrics}
    for each in listed.metrics:
        assert each.metric in text.out
        assert each.citation in text.out
    assert "two latents; equal width" in text.out
    assert "lower, range 0 and above" in text.out


def test_one_metric_is_listed_and_a_wrong_name_has_a_suggestion(run):
    assert run("metrics", "cka").out.startswith("cka         linear CKA\n")

    wrong = run("metrics", "prokrustes")

    assert wrong.code == 2
    assert "no metric called 'prokrustes'. Did you mean 'procrustes'?" in wrong.err


def test_compare_shows_the_metrics_that_are_named(run, latents: Path):
    whole = run("compare", latents / "a.npy", latents / "b.npy", "--json")
    some = run("compare", latents / "a.npy", latents / "b.npy", "--metrics", "cka, fvu", "--json")
    text = run("compare", latents / "a.npy", latents / "b.npy", "--metrics", "cka")

    report = CompareReport.model_validate_json(some.out)
    assert [each.metric for each in report.metrics] == ["cka", "fvu"]
    assert report["cka"] == CompareReport.model_validate_json(whole.out)["cka"]
    assert "linear CKA" in text.out
    assert "linear map" not in text.out
    assert "posterior draw" not in text.out  # files of latents do not know it


def test_compare_says_what_it_cannot_show(run, latents: Path):
    result = run("compare", latents / "a.npy", latents / "narrow.npy")

    assert result.code == 0
    assert "fvu: needs the same number of dimensions in both" in result.out


@pytest.mark.parametrize(
    ("other", "metrics", "words"),
    [
        ("narrow.npy", "fvu", "fvu needs the same number of dimensions in both"),
        ("b.npy", "fvx", "no metric called 'fvx'. Did you mean 'fvu'?"),
        ("b.npy", ",", "no metric is named"),
        ("constant.npy", "cka", "the second latents do not vary"),
        ("few.npy", "cka", "200 and 3 rows"),
    ],
)
def test_compare_refuses_what_it_was_asked_for_and_cannot_do(run, latents: Path, other: str, metrics: str, words: str):
    result = run("compare", latents / "a.npy", latents / other, "--metrics", metrics)

    assert result.code == 2
    assert words in result.err
