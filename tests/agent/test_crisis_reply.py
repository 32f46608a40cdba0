"""The crisis reply: the right words and lines for every trouble, place and moment, and nothing said twice."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product

import pytest
from warmline.agent.copy import Copy
from warmline.agent.protocol.reply import REMEMBERED, CrisisReply, Progress, crisis_reply, help_card
from warmline.guards.hotlines import Directory
from warmline.guards.types import Category, RiskLevel, Subject, Verdict

COPY = Copy.load()
DIRECTORY = Directory.load()
COUNTRIES = ("US", "CA", "GB", "IE", "AU", "NZ", "IN", "DE", "FR", "ES", None)
CRISES = (RiskLevel.ELEVATED, RiskLevel.IMMINENT)
NOTICE = COPY.notice()


@dataclass(frozen=True)
class Risk:
    level: RiskLevel


def reply(
    level: RiskLevel = RiskLevel.ELEVATED,
    *categories: Category,
    text: str = "I can't go on",
    subject: Subject = Subject.SELF,
    country: str | None = "GB",
    progress: Progress | None = None,
    risk: RiskLevel | None = None,
    seed: int = 1,
) -> CrisisReply:
    return crisis_reply(
        text=text,
        verdict=Verdict(level=level, categories=categories, subject=subject),
        risk=Risk(risk or level),
        country=country,
        directory=DIRECTORY,
        copy=COPY,
        progress=progress or Progress(),
        seed=seed,
    )


def calm(progress: Progress, text: str = "ok", country: str | None = "GB", seed: int = 2) -> CrisisReply:
    """The next, calm message while the risk stands where it stood."""
    return reply(RiskLevel.NONE, text=text, progress=progress, risk=progress.level, country=country, seed=seed)


SUICIDE, ABUSE, PSYCHOSIS = Category.SUICIDE, Category.ABUSE, Category.PSYCHOSIS
ELEVATED, IMMINENT = CRISES


class TestTheFirstReply:
    @pytest.mark.parametrize(
        ("category", "level", "subject", "country"), list(product(Category, CRISES, Subject, COUNTRIES))
    )
    def test_names_a_line_of_the_country_and_shows_the_card(
        self, category: Category, level: RiskLevel, subject: Subject, country: str | None
    ) -> None:
        answer = reply(level, category, subject=subject, country=country)
        assert answer.card is not None
        assert answer.card.lines[0].country == (country or "ZZ")
        assert answer.card.lines[0].say in answer.text
        assert (answer.card.emergency or "your local emergency number") in answer.text
        assert answer.text.count(NOTICE) == 1
        assert not re.search(r"[{}!]", answer.text)

    def test_weaves_at_most_two_lines_into_the_text(self) -> None:
        answer = reply(ELEVATED, SUICIDE)
        assert answer.card is not None
        assert [line.id for line in answer.card.lines if line.name in answer.text] == ["gb-samaritans", "gb-shout"]

    def test_offers_a_way_to_write_beside_a_way_to_speak(self) -> None:
        answer = reply(ELEVATED, PSYCHOSIS)
        assert answer.card is not None
        assert [line.written for line in answer.card.lines[:3]] == [False, False, True]
        assert "call 111 (NHS 111, mental health option), or text SHOUT to 85258 (Shout)" in answer.text

    def test_ends_open(self) -> None:
        for category, level, subject in product(Category, CRISES, Subject):
            last = reply(level, category, subject=subject).text.split("\n\n")[-1]
            assert "?" in last or re.search(r"Tell me|Keep writing", last)

    def test_names_a_line_to_write_to_only_by_how_to_write_to_it(self) -> None:
        assert "Tele-MANAS" in reply(ELEVATED, ABUSE, country="IN").text  # and not one whose chat the text leaves out

    def test_puts_suicide_before_what_else_is_there(self) -> None:
        answer = reply(ELEVATED, ABUSE, SUICIDE)
        assert answer.move_ids[0].startswith("crisis.suicide.self.elevated.hear")
        assert answer.card is not None
        assert {"gb-samaritans", "gb-domestic-abuse"} <= {line.id for line in answer.card.lines}

    def test_gives_the_police_when_violence_leads(self) -> None:
        assert "110" in reply(IMMINENT, Category.VIOLENCE, country="DE").text

    def test_gives_the_ambulance_when_an_overdose_leads(self) -> None:
        answer = reply(IMMINENT, Category.SUBSTANCE_MISUSE, country="JP")
        assert answer.card is not None
        assert answer.card.emergency == "119"

    def test_says_where_an_unchecked_number_can_be_confirmed(self) -> None:
        assert COPY.texts.unchecked_in_reply in reply(ELEVATED, Category.EATING_DISORDER, country="US").text

    def test_casts_no_doubt_on_checked_numbers(self) -> None:
        assert COPY.texts.unchecked_in_reply not in reply(ELEVATED, SUICIDE, country="US").text

    def test_puts_no_words_into_the_mouth_of_somebody_whose_risk_built_up(self) -> None:
        built_up = reply(RiskLevel.CONCERN, SUICIDE, risk=ELEVATED)
        assert built_up.move_ids[0].startswith("crisis.unclear.self.elevated.hear")
        assert built_up.card is not None

    def test_titles_the_card_by_urgency_and_by_who_is_at_risk(self) -> None:
        titles = COPY.texts.card_title
        cards = [reply(ELEVATED, SUICIDE), reply(IMMINENT, SUICIDE), reply(IMMINENT, SUICIDE, subject=Subject.OTHER)]
        assert [answer.card.title for answer in cards if answer.card] == [
            titles.elevated,
            titles.imminent,
            titles.other,
        ]


class TestWithoutACountry:
    def test_it_asks_for_it_and_gives_the_emergency_rule(self) -> None:
        text = reply(IMMINENT, SUICIDE, country=None).text
        assert "Which country are you in?" in text
        assert all(number in text for number in ("911", "999", "000", "112"))
        assert "findahelpline.com" in text

    def test_it_asks_once(self) -> None:
        first = reply(ELEVATED, SUICIDE, country=None)
        risen = reply(IMMINENT, SUICIDE, country=None, progress=first.progress)
        assert "Which country" not in risen.text

    def test_the_answer_brings_the_lines(self) -> None:
        first = reply(ELEVATED, SUICIDE, country=None)
        second = calm(first.progress, "germany", country="DE")
        assert second.card is not None
        assert second.card.country == "DE"
        assert "Germany" in second.text and "0800 111 0 111" in second.text

    def test_the_lines_of_the_new_country_come_once(self) -> None:
        second = calm(reply(ELEVATED, SUICIDE, country=None).progress, "germany", country="DE")
        assert calm(second.progress, "ok", country="DE").card is None

    def test_the_answer_is_understood_even_when_the_app_does_not_set_it(self) -> None:
        first = reply(ELEVATED, SUICIDE, country=None)
        second = calm(first.progress, "I'm in Ireland", country=None)
        assert second.card is not None
        assert (second.card.country, second.progress.country) == ("IE", "IE")
        assert calm(second.progress, "ok", country=None).card is None

    def test_the_answer_holds_for_the_cards_that_follow(self) -> None:
        first = reply(ELEVATED, SUICIDE, country=None)
        second = calm(first.progress, "Ireland", country=None)
        third = reply(ELEVATED, ABUSE, progress=second.progress, country=None)
        assert third.card is not None
        assert third.card.country == "IE"

    def test_a_country_that_is_only_talked_about_is_not_taken_for_the_answer(self) -> None:
        assert reply(ELEVATED, SUICIDE, text="since I came back from France", country=None).progress.country is None

    def test_what_the_app_sets_later_wins(self) -> None:
        first = reply(ELEVATED, SUICIDE, country=None)
        second = calm(first.progress, "Ireland", country=None)
        assert calm(second.progress, "ok", country="FR").progress.country == "FR"

    def test_a_country_without_lines_is_told_so_and_not_asked_for(self) -> None:
        text = reply(ELEVATED, SUICIDE, country="TV").text
        assert "Tuvalu" in text and "findahelpline.com" in text
        assert "Which country" not in text


class TestTheNextReplies:
    def test_the_same_crisis_again_is_short_and_repeats_no_number(self) -> None:
        first = reply(ELEVATED, SUICIDE)
        second = reply(ELEVATED, SUICIDE, progress=first.progress, seed=2)
        assert second.card is None
        assert not re.search(r"\d", second.text)
        assert "above" in second.text
        assert len(second.text) < len(first.text) / 2

    def test_a_calm_message_is_met_and_asked_about_safety(self) -> None:
        second = calm(reply(ELEVATED, SUICIDE).progress, "my cat is funny")
        assert second.card is None
        assert second.text in COPY.texts.stay.self
        assert second.progress.asked

    def test_a_rise_brings_the_whole_reply_and_the_card_again(self) -> None:
        first = reply(ELEVATED, SUICIDE)
        risen = reply(IMMINENT, SUICIDE, progress=first.progress)
        assert risen.card is not None and risen.card.level is IMMINENT
        assert risen.move_ids[0].startswith("crisis.suicide.self.imminent.hear")

    def test_a_fall_and_a_second_rise_is_a_rise(self) -> None:
        high = reply(IMMINENT, SUICIDE)
        lower = reply(ELEVATED, SUICIDE, progress=high.progress)
        assert lower.card is None
        assert reply(IMMINENT, SUICIDE, progress=lower.progress).card is not None

    def test_a_new_category_brings_its_words_and_lines(self) -> None:
        first = reply(ELEVATED, SUICIDE)
        second = reply(ELEVATED, ABUSE, progress=first.progress)
        assert second.move_ids[0].startswith("crisis.abuse")
        assert second.card is not None
        assert "gb-domestic-abuse" in {line.id for line in second.card.lines}

    def test_a_known_category_brings_no_card(self) -> None:
        both = reply(ELEVATED, SUICIDE, ABUSE)
        assert reply(ELEVATED, ABUSE, progress=both.progress).card is None

    @pytest.mark.parametrize(
        "text",
        [
            "what was that number",
            "Can you give me the hotline again?",
            "number pls",
            "who can I call",
            "i lost the number",
        ],
    )
    def test_who_asks_for_the_numbers_gets_them(self, text: str) -> None:
        asked = calm(reply(ELEVATED, SUICIDE).progress, text)
        assert asked.card is not None
        assert "116 123" in asked.text

    @pytest.mark.parametrize(
        "text", ["ok", "a number of things went wrong", "I called him", "numbers are not my thing"]
    )
    def test_who_does_not_ask_gets_no_card(self, text: str) -> None:
        assert calm(reply(ELEVATED, SUICIDE).progress, text).card is None

    def test_worry_about_someone_else_stays_with_them(self) -> None:
        first = reply(ELEVATED, SUICIDE, subject=Subject.OTHER)
        assert calm(first.progress).text in COPY.texts.stay.other

    def test_no_word_comes_back_while_there_are_others(self) -> None:
        progress = reply(ELEVATED, SUICIDE).progress
        said: list[str] = []
        for seed in range(len(COPY.texts.again.self.elevated)):
            answer = reply(ELEVATED, SUICIDE, progress=progress, seed=seed)
            said.append(answer.text)
            progress = answer.progress
        assert len(said) == len(set(said))

    def test_the_ai_notice_comes_once_in_a_crisis(self) -> None:
        progress, texts = Progress(), ""
        for turn in range(40):
            level, category = CRISES[turn % 2], list(Category)[turn % 8]
            answer = reply(level, category, progress=progress, seed=turn)
            progress, texts = answer.progress, texts + answer.text
        assert texts.count(NOTICE) == 1

    def test_a_long_crisis_keeps_the_progress_small(self) -> None:
        progress, moves = Progress(), set[str]()
        for seed, level, subject, category in product(range(4), CRISES, Subject, Category):
            fresh = progress.model_copy(update={"categories": ()})
            answer = reply(level, category, subject=subject, progress=fresh, seed=seed)
            progress, moves = answer.progress, moves | set(answer.move_ids)
        assert len(moves) > REMEMBERED
        assert len(progress.said) == REMEMBERED
        assert len(progress.model_dump_json()) < 8000


class TestAfterTheCrisis:
    def test_the_next_one_gets_its_card_and_notice_again(self) -> None:
        over = reply(ELEVATED, SUICIDE).progress.stepped_down()
        assert not over.open
        again = reply(ELEVATED, SUICIDE, progress=over)
        assert again.card is not None
        assert NOTICE in again.text

    def test_it_is_said_in_other_words(self) -> None:
        first = reply(ELEVATED, SUICIDE)
        again = reply(ELEVATED, SUICIDE, progress=first.progress.stepped_down())
        assert first.text.split("\n\n")[0] != again.text.split("\n\n")[0]


class TestProgress:
    def test_it_remembers_what_was_offered_said_and_reached(self) -> None:
        answer = reply(IMMINENT, SUICIDE)
        assert answer.card is not None
        assert answer.progress.offered == tuple(line.id for line in answer.card.lines)
        assert answer.progress.said == answer.move_ids
        assert (answer.progress.peak, answer.progress.categories) == (IMMINENT, (SUICIDE,))
        assert answer.progress.disclosed_ai

    def test_it_survives_the_way_through_json(self) -> None:
        progress = reply(IMMINENT, SUICIDE, ABUSE).progress
        assert Progress.model_validate_json(progress.model_dump_json()) == progress

    def test_an_empty_record_is_a_fresh_start(self) -> None:
        assert Progress.model_validate({}) == Progress()

    def test_the_same_turn_gives_the_same_reply(self) -> None:
        assert reply(ELEVATED, PSYCHOSIS, seed=5) == reply(ELEVATED, PSYCHOSIS, seed=5)

    def test_another_session_gets_other_words(self) -> None:
        assert len({reply(ELEVATED, SUICIDE, seed=seed).text for seed in range(30)}) > 5


class TestTheHelpCard:
    @pytest.mark.parametrize("country", COUNTRIES)
    def test_it_has_lines_for_every_country(self, country: str | None) -> None:
        card = help_card(country, DIRECTORY, COPY)
        assert card.lines[0].country == (country or "ZZ")
        assert card.emergency == DIRECTORY.emergency(country)
        assert card.notice == NOTICE

    def test_it_shows_the_crisis_line_first_and_one_for_each_usual_trouble(self) -> None:
        ids = [line.id for line in help_card("GB", DIRECTORY, COPY).lines]
        assert ids[:5] == ["gb-samaritans", "gb-domestic-abuse", "gb-childline", "gb-frank", "gb-beat"]
