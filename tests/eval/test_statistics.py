"""Reference values are those of scipy 1.17.1 and statsmodels 0.15.0 on the same numbers, or worked by hand."""

import math

import numpy as np
import pytest

from warmline.eval.statistics import (
    alpha_interval,
    bonferroni,
    chi2_tail,
    cochran_q,
    holm,
    krippendorff_alpha,
    mcnemar,
    mean_interval,
    paired_difference,
    pairwise_mcnemar,
    weighted_f1,
    weighted_kappa,
)

RNG = np.random.default_rng(7)
A = RNG.integers(1, 11, 60).astype(float)
B = np.clip(A + RNG.integers(-2, 3, 60), 1, 10)
RIGHT = RNG.random((50, 4)) < np.array([0.9, 0.8, 0.75, 0.5])
_ = math.nan
FOUR_RATERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
        [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
    ]
)
"""Krippendorff's own worked example (Computing Krippendorff's Alpha-Reliability, 2011)."""


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    found = mean_interval(A)
    assert (found.low, found.high) == pytest.approx((5.333, 6.75), abs=0.06)


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    held = sum(e.low <= 5 <= e.high for e in (mean_interval(rng.normal(5, 2, 80), times=500) for _ in range(300)))
    assert 0.90 <= held / 300 <= 0.98


def test_no_values_have_no_mean() -> None:
    assert math.isnan(mean_interval([]).value)


def test_a_paired_difference_is_that_of_scipy() -> None:
    found = paired_difference(A, B)
    assert (found.low, found.high) == pytest.approx((-0.267, 0.4), abs=0.04)
    assert found.effect == pytest.approx(0.05077, abs=1e-4)
    assert found.p == pytest.approx(0.6955, abs=0.05)  # the paired t-test's


def test_a_real_difference_is_found() -> None:
    assert paired_difference(A + 1 + 0.1 * B, A).p < 0.001


def test_the_same_answers_differ_by_nothing() -> None:
    found = paired_difference(A, A)
    assert (found.value, found.p, found.win_rate) == (0, 1, 0.5)


def test_wins_ties_and_losses_are_counted() -> None:
    found = paired_difference([3, 2, 1, 5], [1, 2, 3, 1])
    assert (found.wins, found.ties, found.losses, found.win_rate) == (2, 1, 1, 0.625)


def test_unpaired_values_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        paired_difference([1, 2], [1])


def test_holms_correction_is_that_of_statsmodels() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_bonferroni_never_goes_above_one() -> None:
    assert bonferroni([0.02, 0.6]) == pytest.approx([0.04, 1.0])


@pytest.mark.parametrize(
    ("x", "df", "tail"),
    [
        (3.2, 1, 0.07363827012030258),
        (7.5, 2, 0.023517745856009114),
        (11.3, 3, 0.010209496433133654),
        (0.4, 6, 0.9988515187551379),
        (40, 5, 1.493367900050393e-07),
        (0, 3, 1),
    ],
)
def test_the_tail_of_chi_squared_is_that_of_scipy(x: float, df: int, tail: float) -> None:
    assert chi2_tail(x, df) == pytest.approx(tail, rel=1e-9)


def test_cochrans_q_is_that_of_statsmodels() -> None:
    assert cochran_q(RIGHT) == pytest.approx((30.496062992125985, 1.0852371440224896e-06))


def test_systems_that_agree_on_everything_do_not_differ() -> None:
    assert cochran_q(np.ones((5, 3), dtype=bool))[1] == 1


def test_mcnemar_is_the_exact_test_of_statsmodels() -> None:
    assert mcnemar(RIGHT[:, 0], RIGHT[:, 3]) == pytest.approx((26, 3, 1.5236437320709229e-05))


def test_mcnemar_is_exact_with_thousands_of_messages() -> None:
    first = np.array([True] * 1200 + [False] * 1340)
    assert mcnemar(first, ~first)[2] == pytest.approx(0.005804566740762983, rel=1e-9)


def test_every_pair_of_systems_is_compared_and_corrected() -> None:
    found = pairwise_mcnemar(RIGHT)
    assert [pair[:2] for pair in found] == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert found[2][4] == pytest.approx(6 * 1.5236437320709229e-05)


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_that_of_krippendorffs_own_example(level: str, alpha: float) -> None:
    assert krippendorff_alpha(FOUR_RATERS, level) == pytest.approx(alpha, abs=5e-4)  # pyright: ignore


def test_the_interval_of_alpha_is_wide_with_few_items_and_holds_it() -> None:
    few, many = np.array([A[:15], B[:15]]), np.array([A, B])
    low, high = alpha_interval(few)
    assert low < krippendorff_alpha(few) < high
    narrow_low, narrow_high = alpha_interval(many)
    assert narrow_high - narrow_low < high - low


def test_one_rater_agrees_with_nobody() -> None:
    assert math.isnan(krippendorff_alpha(np.array([[1.0, 2.0, 3.0]])))


def test_weighted_kappa_is_that_of_statsmodels() -> None:
    assert weighted_kappa(A, B) == pytest.approx(0.8866834543030662)


def test_a_rating_outside_of_the_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 10"):
        weighted_kappa([0], [1])


def test_weighted_f1_counts_what_could_not_be_read_as_wrong() -> None:
    # yes: 2 of 3 found, none wrongly: F1 0.8; no: 1 of 1 found, none wrongly: F1 1. (3 * 0.8 + 1 * 1) / 4
    assert weighted_f1(["yes", "yes", "yes", "no"], ["yes", "yes", None, "no"]) == pytest.approx(0.85)
