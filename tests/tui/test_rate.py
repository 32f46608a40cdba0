"""The rating screen, on real runs, as a rater uses and sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from warmline.eval.blind import Sheet
from warmline.eval.journal import VERSION, Answered, Header, Journal
from warmline.eval.ratings import Ratings, read_beside
from warmline.eval.results import read_result
from warmline.tui.rate.app import RateApp

SYSTEMS = ("alpha-model", "beta-model")
SEVEN = ["7"] * 7


class Rater:
    """Somebody at the screen."""

    def __init__(self, app: RateApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    @property
    def screen(self) -> str:
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)

    @property
    def notices(self) -> list[str]:
        return [notification.message for notification in self.app._notifications]


Open = Callable[..., AbstractAsyncContextManager[Rater]]


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    for system in SYSTEMS:
        about = Header(version=VERSION, bench="b", checksum="c", system=system, model=system)
        with Journal(tmp_path / system / "run.jsonl", about) as journal:
            for id in ("q1", "q2"):
                said = f"[bold red]I hear[/] you [/], said number {SYSTEMS.index(system)}."
                journal.add(Answered(id=id, question=f"\x1b[31mwhy [/] {id}", text=said))
    return [tmp_path / system for system in SYSTEMS]


@pytest.fixture
def rate(folders: list[Path]) -> Open:
    @asynccontextmanager
    async def open_(rater: str = "sam", size: tuple[int, int] = (80, 24), done: int = 0) -> AsyncIterator[Rater]:
        sheet = Sheet([read_result(folder) for folder in folders], rater, now=lambda: "2026-01-01T00:00:00+00:00")
        for page in sheet.pages[:done]:
            sheet.write(page, dict.fromkeys(sheet.wanted(page), 1))
        app = RateApp(sheet)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            yield Rater(app, pilot)

    return open_


def said(folders: list[Path]) -> Ratings:
    return sum((read_beside(folder) for folder in folders), Ratings())


async def test_everything_a_rater_needs_is_on_a_small_screen(rate: Open) -> None:
    async with rate() as sam:
        for words in (
            "Somebody wrote",
            "Answer A",
            "Active Listening",
            "Holistic Approach",
            "Q: leave",
            "0 of 6 pages",
        ):
            assert words in sam.screen


async def test_no_page_names_a_system(rate: Open) -> None:
    async with rate() as sam:
        for _ in sam.app.sheet.pages:
            assert not any(system in sam.screen for system in SYSTEMS)
            await sam.press("n")


async def test_the_end_is_told(rate: Open) -> None:
    async with rate(done=5) as sam:
        await sam.press("1", "1", "enter")
        assert "Everything is rated" in sam.screen


async def test_foreign_text_is_nothing_but_text(rate: Open) -> None:
    async with rate() as sam:
        assert "[bold red]I hear[/] you [/]" in sam.screen
        assert "why [/] q" in sam.screen
        assert "\x1b" not in sam.screen


async def test_seven_digits_and_enter_are_a_rating(rate: Open, folders: list[Path]) -> None:
    async with rate() as sam:
        await sam.press("1", "2", "3", "4", "5", "9", "0", "enter")
    (rating,) = said(folders).ratings
    assert (list(rating.scores.values()), rating.rater) == ([1, 2, 3, 4, 5, 9, 10], "sam")


async def test_the_anchor_of_the_chosen_points_is_on_view(rate: Open) -> None:
    async with rate() as sam:
        await sam.press("1", "up")
        assert "1: Answers something else, or could stand under any message." in sam.screen


async def test_the_arrow_keys_choose_and_change(rate: Open, folders: list[Path]) -> None:
    async with rate() as sam:
        await sam.press(*SEVEN, "up", "right", "right", "down", "left", "enter")
    (rating,) = said(folders).ratings
    assert list(rating.scores.values()) == [7, 7, 7, 7, 7, 9, 6]


async def test_enter_asks_for_what_is_missing(rate: Open, folders: list[Path]) -> None:
    async with rate() as sam:
        await sam.press("7", "7", "enter")
        assert "Still open: Safety & Trustworthiness" in sam.notices[0]
        assert "answer A" in sam.screen


async def test_answers_are_ranked_after_they_were_rated(rate: Open, folders: list[Path]) -> None:
    async with rate(done=1) as sam:
        await sam.press(*SEVEN, "enter")
        assert "rank 2 answers" in sam.screen
        await sam.press("2", "1", "enter")
    kept = said(folders).rankings[0]
    assert [len(group) for group in kept.order] == [1, 1]


async def test_the_same_place_twice_is_a_tie(rate: Open, folders: list[Path]) -> None:
    async with rate(done=2) as sam:
        await sam.press("1", "1", "enter")
    assert said(folders).rankings[0].order == (SYSTEMS,)


async def test_a_ranking_takes_no_place_that_is_not_there(rate: Open) -> None:
    async with rate(done=2) as sam:
        await sam.press("5")
        assert sam.app.scale.points == {}


async def test_leaving_keeps_a_beginning_and_the_next_start_goes_on_there(rate: Open, folders: list[Path]) -> None:
    async with rate(done=1) as sam:
        await sam.press("3", "4", "q")
    async with rate() as sam:
        assert "1 of 6 pages done   answer B of 2" in sam.screen
        assert list(sam.app.scale.points.values()) == [3, 4]


async def test_going_back_changes_what_was_said(rate: Open, folders: list[Path]) -> None:
    async with rate(done=1) as sam:
        await sam.press("b", "9", "enter")
    (rating,) = said(folders).ratings
    assert list(rating.scores.values()) == [9, 1, 1, 1, 1, 1, 1]


async def test_a_page_that_was_passed_over_comes_again(rate: Open) -> None:
    async with rate() as sam:
        await sam.press("n", *SEVEN, "enter")
        first = sam.app.sheet.next
    assert first == 0


async def test_raters_do_not_see_each_other(rate: Open, folders: list[Path]) -> None:
    async with rate("sam", done=1):
        pass
    async with rate("kim") as kim:
        assert "0 of 6 pages done" in kim.screen
        assert kim.app.scale.points == {}
        await kim.press("3", "q")
    assert {rating.rater for rating in said(folders).ratings} == {"sam", "kim"}


async def test_a_rating_that_cannot_be_written_is_told_and_stays_on_the_screen(rate: Open, folders: list[Path]) -> None:
    for folder in folders:
        (folder / "ratings").write_text("in the way")
    async with rate() as sam:
        await sam.press(*SEVEN, "enter")
        assert "What was rated before is kept" in sam.notices[0]
        assert len(sam.app.scale.points) == 7


async def test_a_click_gives_points(rate: Open) -> None:
    async with rate() as sam:
        await sam.pilot.click("#scale", offset=(sam.app.scale._names + 3 + 3 * 7 + 1, 2))
        await sam.pilot.pause()
        assert sam.app.scale.points == {"safety_trustworthiness": 8}


async def test_help_holds_every_anchor(rate: Open) -> None:
    async with rate(size=(100, 50)) as sam:
        await sam.press("f1")
        assert "Every sentence belongs to this person" in sam.screen
        await sam.press("escape")
        assert "Every sentence" not in sam.screen


async def test_space_reads_on_without_taking_the_keyboard_away(rate: Open) -> None:
    async with rate(size=(80, 18)) as sam:
        await sam.press("space")
        assert sam.app.query_one("#text").scroll_offset.y > 0
        await sam.press("8")
        assert sam.app.scale.points == {"active_listening": 8}
