from pathlib import Path

import numpy as np
import pytest

from tests.eval.test_crisis_bench import FOUR
from warmline.agent.settings import GuardSettings
from warmline.eval.crisis import figures, local
from warmline.eval.journal import Screened
from warmline.eval.reliability import reliability
from warmline.eval.report import Report, as_data, as_markdown
from warmline.guards import RiskLevel

RNG = np.random.default_rng(5)
SHARES = RNG.random(4000)
TRUTH = RNG.random(4000) < SHARES


def test_the_error_is_that_of_a_hand_worked_table() -> None:
    # 0.0-0.1: mean 0.05, none of 2; 0.8-0.9: mean 0.85, 1 of 2. (2 * 0.05 + 2 * 0.35) / 4
    found = reliability([0.05, 0.05, 0.85, 0.85], [False, False, True, False])
    assert found.ece.value == pytest.approx(0.2)
    assert found.brier == pytest.approx((0.05**2 * 2 + 0.15**2 + 0.85**2) / 4)
    assert [(b.low, b.true.n, b.true.value) for b in found.bins] == [(0.0, 2, 0.0), (0.8, 2, 0.5)]


def test_true_probabilities_have_almost_no_error() -> None:
    assert reliability(SHARES, TRUTH).ece.value < 0.03


def test_overconfidence_is_an_error() -> None:
    found = reliability(np.where(SHARES > 0.5, 0.99, 0.01), TRUTH)
    assert found.ece.value == pytest.approx(0.24, abs=0.03)
    assert found.ece.low > 0.2


def test_a_score_of_one_is_in_the_last_bin() -> None:
    assert [b.high for b in reliability([1.0], [True]).bins] == [1.0]


@pytest.mark.parametrize("scores", [[], [1.2], [-0.1]])
def test_what_is_no_score_is_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        reliability(scores, [True] * len(scores))


def said(system: str, *scores: float | None) -> dict[str, Screened]:
    levels = [RiskLevel.ELEVATED, RiskLevel.ELEVATED, RiskLevel.NONE, RiskLevel.NONE]
    return {
        m.id: Screened(id=m.id, system=system, level=level, score=score)
        for m, level, score in zip(FOUR, levels, scores, strict=True)
    }


def test_a_system_without_scores_has_no_diagram() -> None:
    found = figures(FOUR, {"keywords": said("keywords", None, None, None, None)})
    assert found.systems[0].reliability is None


def test_the_report_has_the_error_and_its_bins() -> None:
    report = Report(crisis=figures(FOUR, {"filter": said("filter", 0.9, 0.8, 0.2, 0.1)}))
    system = as_data(report)["crisis"]["systems"][0]
    assert system["reliability"]["ece"]["value"] == pytest.approx(0.15)
    assert "Expected calibration error 0.150" in as_markdown(report, "T")


def test_the_page_leads_from_a_missed_crisis_to_its_text(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    from warmline.eval.page import as_html

    calm = {m.id: Screened(id=m.id, system="s", level=RiskLevel.NONE, score=0.1) for m in FOUR}
    page = as_html(Report(crisis=figures(FOUR, {"s": calm})), "T")
    assert "href='#m-a'" in page
    assert "<details id='m-a'>" in page
    assert '"reliability"' in page


def test_the_filter_says_how_sure_it_is_and_its_lexicon_does_not() -> None:
    settings = GuardSettings()
    crisis, calm = "i want to kill myself tonight", "the bus was late again"
    whole = local("filter", settings).hears
    assert (whole(crisis).score or 0) > 0.9 > 0.3 > (whole(calm).score or 1)
    assert local("lexicon", settings).hears(crisis).score is None
