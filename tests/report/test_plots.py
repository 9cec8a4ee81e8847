"""Pictures in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import gexcore as gx
from gexcore.decisions.curve import CurvePoint
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.plots import (
    plot_by_members,
    plot_class_noise,
    plot_confusion,
    plot_convergence,
    plot_gallery,
    plot_histogram,
    plot_precision,
    plot_precision_recall,
    plot_pruning_curve,
    plot_roc,
    plot_top,
)
from gexcore_numpy import MLP


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


@pytest.fixture(autouse=True)
def _no_figure_stays_open() -> Any:
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def heights(ax: Axes) -> list[float]:
    """Samples in each part of a stacked histogram."""
    return [sum(bar.get_height() for bar in container) for container in ax.containers]  # type: ignore[attr-defined]


def labels(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def test_a_histogram_holds_every_sample(ax: Axes) -> None:
    scores = np.random.default_rng(0).gamma(2, 0.3, 500)
    assert plot_histogram(scores, ax=ax) is ax
    assert heights(ax) == [500]
    assert labels(ax) == []


def test_a_histogram_is_split_at_its_threshold(ax: Axes) -> None:
    scores = np.arange(10.0)
    plot_histogram(scores, threshold=6.0, ax=ax)
    assert heights(ax) == [7, 3]
    assert labels(ax) == ["kept", "flagged (3)", "threshold"]
    assert ax.lines[0].get_xdata() == [6.0, 6.0]


def test_a_histogram_shows_which_labels_are_wrong(ax: Axes) -> None:
    plot_histogram([0.1, 0.2, 3.0], threshold=1.0, wrong=[False, False, True], ax=ax)
    assert heights(ax) == [2, 1]
    assert labels(ax) == ["right label", "wrong label", "threshold"]


def test_equal_scores_have_a_histogram(ax: Axes) -> None:
    plot_histogram(np.zeros(5), ax=ax)
    assert heights(ax) == [5]


@pytest.mark.parametrize(
    ("scores", "wrong", "told"),
    [
        ([1.0, np.nan], None, "only finite|finite scores"),
        ([], None, "finite scores"),
        ([1.0], [True, False], "one per score"),
    ],
)
def test_scores_that_have_no_histogram(scores: Any, wrong: Any, told: str, ax: Axes) -> None:
    with pytest.raises(InvalidDataError, match=told):
        plot_histogram(scores, wrong=wrong, ax=ax)


def test_a_picture_without_axes_gets_a_figure() -> None:
    assert isinstance(plot_histogram([1.0, 2.0]).figure, Figure)


def test_pruning_curves_of_several_seeds_are_averaged(ax: Axes) -> None:
    one = [CurvePoint(1.0, 10, 0.8, 0.8), CurvePoint(0.5, 5, 0.9, 0.6)]
    other = [CurvePoint(1.0, 10, 0.9, 0.9), CurvePoint(0.5, 5, 0.7, 0.5)]
    plot_pruning_curve(one, other, ax=ax)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.85, 0.8])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [0.85, 0.55])
    assert labels(ax) == ["by score", "at random"]
    with pytest.raises(InvalidDataError, match="curve or several of the same shares"):
        plot_pruning_curve(one, other[:1])
    with pytest.raises(InvalidDataError, match="give one curve"):
        plot_pruning_curve()


def test_a_gallery_draws_pictures_and_texts() -> None:
    pictures = plot_gallery(
        (np.random.default_rng(0).random((5, 8, 8)), np.zeros(5)), [4, 0, 2], columns=2
    )
    assert [ax.get_title() for ax in pictures.axes] == ["#4", "#0", "#2"]
    assert all(len(ax.images) == 1 for ax in pictures.axes)
    texts = plot_gallery(["$a$ <b>", "c"], np.array([1, 0]), titles=["$x", "y"])
    assert [ax.texts[0].get_text() for ax in texts.axes] == ["c", "$a$ <b>"]
    texts.draw_without_rendering()
    rendered = plot_gallery(np.zeros((3, 4)), [1], renderer=lambda row: row.reshape(2, 2))
    assert rendered.axes[0].images[0].get_array().shape == (2, 2)  # type: ignore[union-attr]
    with pytest.raises(InvalidSettingError, match="1 titles for indices of shape"):
        plot_gallery(["a", "b"], [0, 1], titles=["one"])


@pytest.fixture(scope="module")
def fit() -> Any:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-1, 1, (60, 2)), rng.normal(1, 1, (60, 2))])
    y = np.repeat([0, 1], 60)

    def with_settings(**settings: Any) -> gx.Influence:
        model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
        return gx.GEX(lr=0.3, **settings).fit(model, (x, y), progress=False)

    return with_settings


def test_larger_halves_agree_better(fit: Any, ax: Axes) -> None:
    plot_convergence(fit(chains=4, snapshots=4), ax=ax)
    line = ax.lines[0]
    sizes, agreement = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert sizes[0] == 1
    assert sizes[-1] == 8
    assert agreement[-1] > agreement[0]
    assert -1 <= agreement.min() <= agreement.max() <= 1
    assert labels(ax) == ["between halves", "with all members"]


def test_the_ranking_approaches_that_of_the_run(fit: Any, ax: Axes) -> None:
    plot_convergence(fit(chains=4, snapshots=4), ax=ax)
    line = ax.lines[1]
    sizes, agreement = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert (sizes[0], sizes[-1]) == (1, 16)
    assert agreement[-1] == pytest.approx(1.0)
    assert agreement[0] < agreement[-1]


def test_a_single_chain_is_cut_in_two(fit: Any, ax: Axes) -> None:
    plot_convergence(fit(chains=1, snapshots=6), ax=ax)
    assert [int(size) for size in ax.lines[0].get_xdata()] == [1, 2, 3]


def test_one_member_agrees_with_nobody(fit: Any, ax: Axes) -> None:
    with pytest.raises(
        InvalidSettingError, match="the run has 1 members, and two are needed to compare"
    ):
        plot_convergence(fit(chains=1, snapshots=1), ax=ax)


def test_titles_tell_the_given_and_the_suggested_label() -> None:
    figure = plot_gallery(["a", "b"], [1, 0], given=[0, 1], suggested=[1, 0], names=["cat", "dog"])
    assert [ax.get_title() for ax in figure.axes] == ["dog → cat", "cat → dog"]
    with pytest.raises(InvalidDataError, match="give both, or neither"):
        plot_gallery(["a"], [0], given=[0])
    with pytest.raises(InvalidDataError, match="class 1 has no name"):
        plot_gallery(["a"], [0], given=[1], suggested=[0], names=["cat"])
    with pytest.raises(InvalidDataError, match="give one whole number for each sample"):
        plot_gallery(["a"], [0], given=["cat"], suggested=["dog"])


def test_a_confusion_counts_flagged_samples_only(ax: Axes) -> None:
    given, suggested = np.array([0, 0, 1, 2, 2]), np.array([1, 1, 0, 0, 2])
    plot_confusion(given, suggested, [0, 1, 3], ax=ax)
    table = ax.images[0].get_array()
    assert table is not None
    np.testing.assert_array_equal(table, [[0, 2, 0], [0, 0, 0], [1, 0, 0]])
    assert sorted(text.get_text() for text in ax.texts) == ["1", "2"]
    with pytest.raises(InvalidDataError, match="no sample is flagged"):
        plot_confusion(given, suggested, [])
    with pytest.raises(InvalidDataError, match="give one per sample"):
        plot_confusion(given, suggested[:2], [0])


def test_a_confusion_of_many_classes_keeps_the_largest(ax: Axes) -> None:
    given = np.concatenate([np.arange(40), np.full(5, 7)])
    plot_confusion(given, np.full(45, 3), np.arange(45), most=4, ax=ax)
    assert {"3", "7"} <= {text.get_text() for text in ax.get_yticklabels()}
    assert len(ax.get_yticks()) == 4


def test_the_noise_of_a_class_is_its_flagged_share(ax: Axes) -> None:
    plot_class_noise(np.repeat([0, 1], [4, 10]), [4, 5, 6, 0], names=["cat", "dog"], ax=ax)
    bars = [bar.get_width() for bar in ax.patches]  # type: ignore[attr-defined]
    assert bars == [0.3, 0.25]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["dog (3 of 10)", "cat (1 of 4)"]


def test_the_precision_of_a_review_has_its_baseline(ax: Axes) -> None:
    wrong = np.array([True, False, True, False])
    plot_precision({"good": [4, 1, 3, 2], "bad": [1, 4, 2, 3]}, wrong, ax=ax)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1, 1, 2 / 3, 0.5])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [0, 0, 1 / 3, 0.5])
    assert labels(ax) == ["good", "bad", "at random"]
    np.testing.assert_allclose(ax.lines[2].get_ydata(), 0.5)
    with pytest.raises(InvalidDataError, match="one finite score per label"):
        plot_precision([1.0, np.nan, 0.0, 0.0], wrong)


def test_the_top_of_a_test_sample_is_drawn_beside_it(fit: Any) -> None:
    found = fit(chains=2, snapshots=3)
    tests = np.array([[-1.0, -1.0], [1.0, 1.0]]), np.array([0, 1])
    top = found.top(3, tests)
    figure = plot_top(top, found.data, tests, at=1)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[0] == "test 1"
    assert [int(t.split()[0][1:]) for t in titles[1:]] == [*top.proponents[1], *top.opponents[1]]
    assert all(ax.texts for ax in figure.axes)
    with pytest.raises(InvalidSettingError, match=r"give 0 … 1"):
        plot_top(top, found.data, tests, at=2)


def test_curves_of_other_scores_are_drawn_by_their_names(ax: Axes) -> None:
    def curve(accuracy: float) -> list[CurvePoint]:
        return [CurvePoint(1.0, 10, 0.9, 0.9), CurvePoint(0.5, 5, accuracy, 0.6)]

    plot_pruning_curve(curve(0.8), others={"loss": [curve(0.7), curve(0.5)]}, ax=ax)
    assert labels(ax) == ["by score", "at random", "loss"]
    assert ax.lines[2].get_ydata()[1] == pytest.approx(0.6)
    with pytest.raises(InvalidDataError, match="same shares"):
        plot_pruning_curve(curve(0.8), others={"loss": [curve(0.7)[:1]]}, ax=ax)
    with pytest.raises(InvalidDataError, match="same shares"):
        plot_pruning_curve(curve(0.8), others={"loss": []}, ax=ax)


def test_a_perfect_ranking_fills_both_curves_and_a_wrong_one_does_not(ax: Axes) -> None:
    wrong = np.arange(40) < 10
    plot_roc({"perfect": -np.arange(40), "reversed": np.arange(40)}, wrong, ax=ax)
    assert labels(ax) == ["perfect (AUC 1.00)", "reversed (AUC 0.00)", "at random"]
    x, y = ax.lines[0].get_data()
    assert (x[y < 1] == 0).all()
    other = Figure().subplots()
    plot_precision_recall(-np.arange(40), wrong, ax=other)
    x, y = other.lines[0].get_data()
    assert (y[x < 1] == 1).all()
    assert other.lines[1].get_ydata()[0] == 0.25
    with pytest.raises(InvalidDataError):
        plot_roc(np.arange(40), wrong[:5], ax=ax)


def test_equal_scores_are_one_point_of_the_curve(ax: Axes) -> None:
    plot_roc(np.zeros(10), np.arange(10) < 3, ax=ax)
    assert ax.lines[0].get_xdata().tolist() == [0.0, 1.0]
    assert labels(ax)[0] == "by score (AUC 0.50)"


def test_average_precision_by_members_ends_with_that_of_all(ax: Axes) -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    wrong = np.arange(60) < 6
    y = ((x[:, 0] > 0) ^ wrong).astype(int)
    model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    method = gx.GEX(chains=2, snapshots=4, lr=0.1, scoring="evaluated")
    found = method.fit(model, (x, y), progress=False)
    plot_by_members(found, wrong, ax=ax)
    from gexcore.decisions.metrics import average_precision

    whole = 100 * average_precision(found.self_influence(), wrong)
    assert ax.lines[0].get_ydata()[-1] == pytest.approx(whole)
    partly = gx.GEX(chains=1, snapshots=1, lr=0.1, scoring="training_batches",
                    steps_per_snapshot=16, batch_size=2)  # fmt: skip
    with pytest.raises(InvalidDataError, match="evaluated"):
        plot_by_members(partly.fit(model, (x, y), progress=False), wrong, ax=ax)
