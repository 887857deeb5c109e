"""The catalogue of metrics: what a metric declares, what is measured with it, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rosetta.schemas.metrics import MetricCatalogue

from rosetta.errors import MetricError, UsageError
from rosetta.metrics.engine import NEEDS, Evidence, Metric, catalogue, measure, metric, metrics, missing, named
from rosetta.verbs.metrics import metrics as listed

DECLARED = {"label": "made up", "direction": "higher", "range": (0.0, None), "citation": "nobody 2026"}


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Forget what a test registers."""
    catalogue()
    known = dict(metrics._known)
    yield
    metrics._known.clear()
    metrics._known.update(known)


def _gap(needs: tuple = ("two latents",), name: str = "gap", **declared: object) -> Metric:
    @metric(name, needs=needs, **DECLARED | declared)
    def gap(*arrays: np.ndarray) -> np.ndarray:
        """Mean distance of the rows.

        More of it.

        Parameters
        ----------
        arrays : float array, shape (n_items, n_dims)
        """
        return np.abs(arrays[0] - arrays[-1]).sum(axis=1)

    return gap


def _pair(n_items: int = 30) -> Evidence:
    a, b = np.random.default_rng(0).normal(size=(2, n_items, 3))
    return Evidence(a, b)


def test_every_metric_of_the_catalogue_says_what_it_must():
    for each in catalogue():
        assert each.text
        assert each.citation
        assert each.direction in ("lower", "higher", "neither")
        assert set(each.needs) <= set(NEEDS)
    assert MetricCatalogue(metrics=tuple(each.entry() for each in catalogue())) == listed()
    assert [each.metric for each in listed("cka").metrics] == ["cka"]


@pytest.mark.parametrize("each", [each for each in catalogue() if "two latents" in each.needs], ids=lambda m: m.name)
def test_a_value_is_in_the_declared_range_and_on_the_declared_side_of_its_null(each: Metric):
    rng = np.random.default_rng(1)
    a = rng.normal(size=(120, 4))
    found = measure(each, Evidence(a, a + 0.3 * rng.normal(size=a.shape), 0.1 * np.ones_like(a)), rng)

    low, high = each.range
    assert low is None or found.value >= low
    assert high is None or found.value <= high + 1e-12
    better = np.less if each.direction == "lower" else np.greater
    assert better(found.value, found.null)
    assert better(found.ceiling, found.value)
    assert (found.interval is not None) == (each.interval is not None)


@pytest.mark.usefixtures("forgotten")
def test_the_docstrings_lead_is_the_entry_and_a_value_an_item_gives_the_mean_and_an_interval():
    gap, evidence = _gap(interval="items", n_permutations=20), _pair()

    found = measure(gap, evidence, np.random.default_rng(0))

    distances = np.abs(evidence.reference - evidence.other).sum(axis=1)
    assert gap.text == "Mean distance of the rows. More of it."
    assert found.value == pytest.approx(distances.mean()) == gap(evidence.reference, evidence.other)
    error = distances.std() / np.sqrt(len(distances))
    assert found.interval == pytest.approx((found.value - 1.96 * error, found.value + 1.96 * error), rel=0.1)
    assert (found.null, found.ceiling, found.n_items) == (pytest.approx(found.value, rel=0.2), None, 30)


@pytest.mark.usefixtures("forgotten")
def test_of_more_items_than_a_metric_looks_at_a_random_sample_is_taken():
    found = measure(_gap(max_items=10), _pair(), np.random.default_rng(0))
    other = measure(metrics.get("gap"), _pair(), np.random.default_rng(1))

    assert found.n_items == other.n_items == 10
    assert found.value != other.value


@pytest.mark.usefixtures("forgotten")
def test_what_a_metric_needs_is_named_where_there_is_none_of_it():
    several = Evidence(replicates=tuple(np.random.default_rng(0).normal(size=(3, 20, 2))), labels=np.arange(20) % 2)
    one = _gap(needs=("labels", "factors", "decoder", "layers", "replicates"))

    assert missing(one, _pair()) == (
        "needs the items' classes and the items' generating factors and the model's decoder and activations of two "
        "models' layers and latents of several trainings that differ by their seed"
    )
    assert missing(one, several).startswith("needs the items' generating factors and the model's decoder")
    with pytest.raises(MetricError, match="gap needs the items' classes"):
        measure(one, _pair(), np.random.default_rng(0))


@pytest.mark.usefixtures("forgotten")
def test_the_null_of_a_metric_of_labels_permutes_the_labels():
    @metric("gap", needs=("latents", "labels"), n_permutations=200, **DECLARED)
    def between(latents: np.ndarray, labels: np.ndarray) -> float:
        """Distance of two classes' means."""
        return float(np.abs(latents[labels == 0].mean(axis=0) - latents[labels == 1].mean(axis=0)).sum())

    labels = np.arange(40) % 2
    found = measure(
        between, Evidence(latents=labels[:, None] + np.zeros((40, 1)), labels=labels), np.random.default_rng(0)
    )

    assert found.value == 1
    assert found.null < 0.3


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"name": "fvu"}, "a metric called 'fvu' already"),
        ({"needs": ("two latent",)}, "needs 'two latent'; known needs: two latents"),
        ({"needs": ("latents",), "n_permutations": 5}, "no rows whose order"),
        ({"needs": ("latents",), "has_ceiling": True}, "compares no two latents"),
    ],
)
def test_a_metric_that_contradicts_itself_is_not_registered(declared: dict, words: str):
    with pytest.raises(ValueError, match=words):
        _gap(**declared)


@pytest.mark.usefixtures("forgotten")
def test_a_metric_without_a_docstring_is_not_registered_and_one_that_gives_nan_is_refused():
    with pytest.raises(ValueError, match="has no docstring"):
        metric("bare", needs=("two latents",), **DECLARED)(lambda a, b: 1.0)

    @metric("nan", needs=("two latents",), **DECLARED)
    def not_a_number(a: np.ndarray, b: np.ndarray) -> float:
        """NaN."""
        return float("nan")

    with pytest.raises(MetricError, match="nan is nan for these 30 items"):
        measure(not_a_number, _pair(), np.random.default_rng(0))


def test_names_keep_their_order_and_a_wrong_one_has_a_suggestion():
    assert [each.name for each in named(["procrustes", " cka", "procrustes"])] == ["procrustes", "cka"]
    with pytest.raises(UsageError, match="no metric called 'procrustis'. Did you mean 'procrustes'"):
        named(["procrustis"])


def test_another_distribution_adds_a_metric_that_compare_shows(tmp_path: Path):
    (tmp_path / "theirs.py").write_text(
        "from rosetta.metrics.engine import metric\n\n"
        "@metric('shared_sign', label='shared sign', needs=('two latents', 'equal width'), direction='higher',\n"
        "        range=(0.0, 1.0), citation='Their paper', n_permutations=5)\n"
        "def shared_sign(a, b):\n"
        "    '''Share of numbers of the same sign.'''\n"
        "    return float(((a > 0) == (b > 0)).mean())\n"
    )
    metadata = tmp_path / "theirs-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[rosetta.metrics]\nshared_sign = theirs:shared_sign\n")
    code = (
        "import numpy as np, rosetta; a = np.random.default_rng(0).normal(size=(50, 3)); "
        "print(rosetta.compare(a, a)['shared_sign'].value)"
    )

    result = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )

    assert result.stdout.strip() == "1.0", result.stderr
