"""Charts are read back from what was drawn: lines, labels, cells, and the file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rosetta.charts import sweep_chart, training_curves
from rosetta.errors import OutputError, UsageError

plt = pytest.importorskip("matplotlib.pyplot", reason="charts need matplotlib")


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch):
    """Save few dots: what is drawn is looked at before."""
    monkeypatch.setattr("rosetta.charts.paper.DPI", 30)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch):
    """Collect the figures that are otherwise forgotten when they are saved."""
    figures: list[Any] = []
    close = plt.close
    monkeypatch.setattr(plt, "close", figures.append)
    yield figures
    for figure in figures:
        close(figure)


def rows(n_epochs: int, *, seed: int = 0, **others: Any) -> list[dict[str, Any]]:
    noise = np.random.default_rng(seed).normal(size=n_epochs)
    return [
        {
            "epoch": e, "elbo": -30 - 200 / e + n, "kl": 12 - 9 / e, "active_units": min(e, 8), "anchor_rms": 1 / e,
            "anchor_weight": 1.1**e, "validation_elbo": -33 - 200 / e + n, "validation_kl": None, **others,
        }
        for e, n in enumerate(noise, start=1)
    ]  # fmt: skip


def draw(rows_by_label: dict[str, Any], folder: Path, *, tolerance: float | None = None, title: str = "Bob") -> None:
    training_curves(rows_by_label, folder / "curves.png", title=title, tolerance=tolerance, force=True)


def panels(figure: Any) -> dict[str, Any]:
    return {plot.get_title("left"): plot for plot in figure.axes}


def legend(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def lines(plot: Any) -> list[Any]:
    return [line for line in plot.lines if len(line.get_xdata()) and line.get_label() != "tolerance"]


def a_grid(**axes: list[Any]) -> list[dict[str, Any]]:
    """Every combination for two seeds, measured as the sum of the positions in the axes, and 0 or 1 for the seed."""
    points: list[dict[str, Any]] = [{"score": 0.0}]
    for name, values in {**axes, "seed": [0, 1]}.items():
        points = [{**p, name: v, "score": p["score"] + at} for p in points for at, v in enumerate(values)]
    return points


def sweep(points: list[dict[str, Any]], folder: Path, *varied: str, best: int = 0) -> None:
    sweep_chart(points, folder / "sweep.png", varied=varied, criterion="score", best=best, force=True)


def test_curves_are_a_png_that_replaces_nothing_without_force(tmp_path: Path):
    before = plt.get_fignums()
    draw({"bob": rows(20)}, tmp_path)

    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert plt.get_fignums() == before
    with pytest.raises(OutputError, match="exists already"):
        training_curves({"bob": rows(3)}, tmp_path / "curves.png", title="", tolerance=None, force=False)


def test_panels_without_data_are_left_out(tmp_path: Path, drawn: list[Any]):
    draw({"alice": rows(20, anchor_rms=None, anchor_weight=0.0), "bob": rows(20, anchor_rms=None, anchor_weight=None)},
         tmp_path)  # fmt: skip

    assert list(panels(drawn[0])) == ["ELBO, nats an item", "KL divergence, nats an item", "Active units"]


def test_lines_of_training_and_held_out_items_hold_the_rows(tmp_path: Path, drawn: list[Any]):
    table = rows(20)
    draw({"bob": table}, tmp_path)

    trained, measured = lines(panels(drawn[0])["ELBO, nats an item"])
    assert trained.get_ydata().tolist() == [row["elbo"] for row in table]
    assert measured.get_ydata().tolist() == [row["validation_elbo"] for row in table]
    assert (trained.is_dashed(), measured.is_dashed()) == (True, False)
    assert len(lines(panels(drawn[0])["KL divergence, nats an item"])) == 1  # nothing was held out for it
    assert legend(drawn[0]) == ["bob", "training items", "held-out items"]


def test_anchor_error_is_logarithmic_with_a_line_at_the_tolerance(tmp_path: Path, drawn: list[Any]):
    draw({"bob": rows(40)}, tmp_path, tolerance=0.05)

    plot = panels(drawn[0])["Anchor error, share of the sd"]
    [line] = [line for line in plot.lines if line.get_label() == "tolerance"]
    assert set(line.get_ydata()) == {0.05}
    assert plot.get_yscale() == panels(drawn[0])["Anchor weight"].get_yscale() == "log"
    drawn[0].canvas.draw()
    assert "0.05" in [tick.get_text() for tick in plot.get_yticklabels()]


def test_ten_replicates_are_thin_lines_and_their_median(tmp_path: Path, drawn: list[Any]):
    tables = {f"seed {seed}": rows(30 if seed else 12, seed=seed) for seed in range(10)}
    draw(tables, tmp_path)

    each = lines(panels(drawn[0])["ELBO, nats an item"])
    median = each[10]
    assert len(each) == 22
    for epoch in (5, 25):  # by epoch 25 one has stopped
        there = [row["elbo"] for table in tables.values() for row in table if row["epoch"] == epoch]
        assert median.get_ydata()[epoch - 1] == pytest.approx(np.median(there))
    assert median.get_linewidth() > 2 * each[0].get_linewidth()
    assert legend(drawn[0])[:2] == ["each of 10", "median"]


def test_an_epoch_that_diverged_is_a_gap(tmp_path: Path, drawn: list[Any]):
    table = rows(20, validation_elbo=None)
    table[3]["elbo"], table[4]["elbo"], table[5]["anchor_weight"] = None, math.inf, 0.0
    draw({"bob": table}, tmp_path)

    [line] = lines(panels(drawn[0])["ELBO, nats an item"])
    assert np.flatnonzero(np.isnan(line.get_ydata())).tolist() == [3, 4]
    [line] = lines(panels(drawn[0])["Anchor weight"])
    assert np.flatnonzero(np.isnan(line.get_ydata())).tolist() == [5]


def test_one_epoch_is_a_dot_at_a_whole_number(tmp_path: Path, drawn: list[Any]):
    draw({"bob": rows(1)}, tmp_path)

    plot = panels(drawn[0])["Active units"]
    drawn[0].canvas.draw()
    assert plot.lines[0].get_marker() == "o"
    low, high = plot.get_xlim()
    assert [tick for tick in plot.get_xticks() if low <= tick <= high] == [1]


def test_first_epochs_may_leave_the_panel_and_it_says_so(tmp_path: Path, drawn: list[Any]):
    draw({"bob": rows(100)}, tmp_path)

    plot = panels(drawn[0])["ELBO, nats an item"]
    assert plot.get_ylim()[0] > -70
    assert [text.get_text() for text in plot.texts] == ["axis fits epochs ≥ 11"]
    assert not panels(drawn[0])["Active units"].texts


def test_names_are_drawn_as_they_are_and_not_as_formulas(tmp_path: Path, drawn: list[Any]):
    draw({r"_cost $\nonsense$": rows(20)}, tmp_path, title=r"$\nonsense")

    drawn[0].canvas.draw()
    assert legend(drawn[0])[0].endswith(r"_cost \$\nonsense\$")


@pytest.mark.parametrize("table", [{}, {"bob": []}, {"bob": [{"epoch": 1, "elbo": None}]}])
def test_nothing_to_draw_is_said_and_nothing_written(tmp_path: Path, table: dict[str, Any]):
    with pytest.raises(UsageError, match="nothing to draw"):
        draw(table, tmp_path)

    assert not list(tmp_path.iterdir())


def test_one_setting_is_a_line_of_means_in_order_with_the_best_marked(tmp_path: Path, drawn: list[Any]):
    points = a_grid(anchor_weight=[0.1, 1.0, 10.0])[::-1]
    sweep(points, tmp_path, "anchor_weight", best=2)

    [plot] = drawn[0].axes
    by_name = {line.get_label(): line for line in plot.lines}
    assert list(by_name["mean"].get_ydata()) == [0.5, 1.5, 2.5]
    assert sorted(by_name["each seed"].get_ydata()) == [0, 1, 1, 2, 2, 3]
    assert (list(by_name["best"].get_xdata()), list(by_name["best"].get_ydata())) == ([1], [1.5])
    assert [tick.get_text() for tick in plot.get_xticklabels()] == ["0.1", "1", "10"]


def test_seeds_that_diverged_are_counted_and_leave_the_mean(tmp_path: Path, drawn: list[Any]):
    points = a_grid(lr=[1e-3, 1e-2, 1e-1])
    for number, value in ((3, None), (4, math.nan), (5, None)):
        points[number]["score"] = value
    sweep(points, tmp_path, "lr")

    [plot] = drawn[0].axes
    by_name = {line.get_label(): line for line in plot.lines}
    assert list(by_name["mean"].get_ydata()) == [0.5, 1.0]
    assert [text.get_text() for text in plot.texts] == ["1 of 2", "2 of 2"]
    assert list(by_name["diverged"].get_xdata()) == [1, 2]


def test_two_settings_are_a_heat_map_with_the_best_cell_outlined(tmp_path: Path, drawn: list[Any]):
    points = a_grid(beta=[1, 4], hidden=[None, [64, 32], [64]])
    points[0]["score"] = None  # one of two
    points[10]["score"] = points[11]["score"] = None  # both
    sweep(points, tmp_path, "beta", "hidden", best=3)

    plot = drawn[0].axes[0]
    assert [tick.get_text() for tick in plot.get_yticklabels()] == ["default", "64", "64-32"]
    written = {text.get_position(): text.get_text() for text in plot.texts}
    assert written == {(0, 0): "1\n−1 of 2", (0, 2): "1.5", (0, 1): "2.5", (1, 0): "1.5", (1, 2): "2.5"}
    [hatched] = [cell for cell in plot.patches if cell.get_hatch()]
    assert hatched.get_xy() == (0.5, 0.5)
    [outline] = [cell for cell in plot.patches if not cell.get_fill()]
    assert [round(edge + 0.46) for edge in outline.get_xy()] == [0, 2]
    assert legend(drawn[0]) == ["best", "every seed diverged", "−1 of 2: one seed of two diverged"]


def test_three_settings_are_a_heat_map_for_each_value_of_the_third(tmp_path: Path, drawn: list[Any]):
    points = a_grid(beta=[1, 4], lr=[0.1, 0.2], selection=["random", "farthest", "kmeans"])
    sweep(points, tmp_path, "beta", "lr", "selection", best=len(points) - 1)

    *plots, _ = drawn[0].axes  # the last is the colours'
    assert [plot.get_title("left").split(" = ")[1] for plot in plots] == ["farthest", "kmeans", "random"]
    assert [any(not cell.get_fill() for cell in plot.patches) for plot in plots] == [False, True, False]
    corner = [cell for plot in plots for cell in plot.patches if cell.get_xy() == (-0.5, -0.5)]
    assert len({cell.get_facecolor() for cell in corner}) == 3  # one scale for all


def test_a_sweep_that_diverged_everywhere_is_drawn(tmp_path: Path, drawn: list[Any]):
    points = [{**point, "score": None} for point in a_grid(beta=[1, 4], lr=[0.1, 0.2])]

    sweep(points, tmp_path, "beta")
    sweep(points, tmp_path, "beta", "lr")

    assert [text.get_text() for text in drawn[0].axes[0].texts] == ["4 of 4", "4 of 4"]
    assert sum(bool(cell.get_hatch()) for cell in drawn[1].axes[0].patches) == 4


@pytest.mark.parametrize(
    ("varied", "best", "says"),
    [
        ((), 0, "0 settings were varied"),
        (("a", "b", "c", "d"), 0, "one to three"),
        (("a",), 2, "there are 2 points"),
        (("a", "b"), 0, "point 0 of the sweep has no b"),
    ],
)
def test_a_sweep_that_cannot_be_drawn_says_why(tmp_path: Path, varied: tuple[str, ...], best: int, says: str):
    with pytest.raises(UsageError, match=says):
        sweep([{"a": 1, "score": 1.0}, {"a": 2, "score": 2.0}], tmp_path, *varied, best=best)
