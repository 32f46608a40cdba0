"""The protocol's reply to one message: the right words and lines for every trouble, place and moment."""

from __future__ import annotations

import re
from itertools import product

import pytest

from warmline.agent.copy import Copy
from warmline.agent.protocol.lines import lines_for, said_lines
from warmline.agent.protocol.playbook import Kind, load_playbooks
from warmline.agent.protocol.say import help_card, safety_plan_text
from warmline.agent.protocol.state import Answer, Progress
from warmline.agent.protocol.walk import Step, Walk
from warmline.guards.filter import CrisisFilter
from warmline.guards.hotlines import Directory
from warmline.guards.types import Category, RiskLevel, Subject, Verdict

FILTER, PLAYBOOKS, DIRECTORY, COPY = CrisisFilter(encoder=None), load_playbooks(), Directory.load(), Copy.load()
COUNTRIES = ("US", "CA", "GB", "IE", "AU", "NZ", "IN", "DE", "FR", "ES", None)
ELEVATED, IMMINENT = CRISES = (RiskLevel.ELEVATED, RiskLevel.IMMINENT)
SUICIDE, ABUSE, PSYCHOSIS = Category.SUICIDE, Category.ABUSE, Category.PSYCHOSIS


def walk(country: str | None = "GB", seed: int = 1) -> Walk:
    return Walk(FILTER, PLAYBOOKS, DIRECTORY, COPY, country=country, seed=seed)


def opened(
    level: RiskLevel,
    *categories: Category,
    subject: Subject = Subject.SELF,
    country: str | None = "GB",
    text: str = "I can't go on",
    seed: int = 1,
) -> tuple[Walk, Step]:
    talk = walk(country, seed)
    return talk, talk.hear(text, Verdict(level=level, categories=categories, subject=subject))


def first(level: RiskLevel, *categories: Category, **more: object) -> Step:
    return opened(level, *categories, **more)[1]  # pyright: ignore[reportArgumentType]


def said(step: Step) -> str:
    assert step.reply is not None
    return step.reply.text


class TestTheFirstReply:
    @pytest.mark.parametrize(
        ("category", "level", "subject", "country"), list(product(Category, CRISES, Subject, COUNTRIES))
    )
    def test_names_a_line_of_the_country_and_shows_the_card(
        self, category: Category, level: RiskLevel, subject: Subject, country: str | None
    ) -> None:
        step = first(level, category, subject=subject, country=country)
        assert step.reply is not None and step.reply.card is not None
        card, text = step.reply.card, step.reply.text
        assert card.lines[0].country == (country or "ZZ")
        assert card.lines[0].say in text
        assert (card.emergency or "your local emergency number") in text
        assert "I can't see you or call anyone for you." in text
        assert text.split("\n\n")[-1].count("?") == 1

    def test_weaves_at_most_two_lines_into_the_text(self) -> None:
        step = first(ELEVATED, SUICIDE)
        assert step.reply is not None and step.reply.card is not None
        named = [line.id for line in step.reply.card.lines if line.name in step.reply.text]
        assert named == ["gb-samaritans", "gb-shout"]

    def test_offers_a_way_to_write_beside_a_way_to_speak(self) -> None:
        assert "call 116 123 (Samaritans), or text SHOUT to 85258" in said(first(ELEVATED, SUICIDE))

    def test_puts_suicide_before_what_else_is_there(self) -> None:
        step = first(ELEVATED, ABUSE, SUICIDE)
        assert step.moves[0] == "suicide/hear"
        assert step.reply is not None and step.reply.card is not None
        assert {"gb-samaritans", "gb-domestic-abuse"} <= {line.id for line in step.reply.card.lines}

    def test_gives_the_police_when_violence_leads(self) -> None:
        assert "110" in said(first(IMMINENT, Category.VIOLENCE, country="DE"))

    def test_gives_the_ambulance_when_an_overdose_leads(self) -> None:
        step = first(IMMINENT, Category.SUBSTANCE_MISUSE, country="JP")
        assert step.reply is not None and step.reply.card is not None
        assert step.reply.card.emergency == "119"

    def test_says_where_an_unchecked_number_can_be_confirmed(self) -> None:
        assert COPY.texts.unchecked_in_reply in said(first(ELEVATED, Category.EATING_DISORDER, country="US"))

    def test_casts_no_doubt_on_checked_numbers(self) -> None:
        assert COPY.texts.unchecked_in_reply not in said(first(ELEVATED, SUICIDE, country="US"))

    def test_puts_no_words_into_the_mouth_of_somebody_whose_risk_built_up(self) -> None:
        talk = walk()
        talk.risk = talk.risk.model_copy(update={"level": ELEVATED, "peak": ELEVATED})
        step = talk.hear("it is what it is", Verdict(level=RiskLevel.CONCERN, categories=(SUICIDE,)))
        assert step.moves[0] == "unclear/hear"
        assert step.reply is not None and step.reply.card is not None

    def test_asks_about_suicide_in_plain_words(self) -> None:
        assert "suicide/ask_thoughts" in first(ELEVATED, SUICIDE).moves

    def test_does_not_ask_what_was_just_said(self) -> None:
        step = first(ELEVATED, SUICIDE, text="i want to kill myself")
        assert "suicide/ask_thoughts" not in step.moves
        assert "suicide/ask_plan" in step.moves

    def test_takes_a_yes_to_the_safety_question_of_the_turn_before(self) -> None:
        talk = walk()
        talk.progress = Progress(pending="thoughts")
        step = talk.hear("yes", Verdict(level=ELEVATED, categories=(SUICIDE,)))
        assert "suicide/ask_plan" in step.moves

    def test_titles_the_card_by_urgency_and_by_who_is_at_risk(self) -> None:
        titles = COPY.texts.card_title
        steps = [first(ELEVATED, SUICIDE), first(IMMINENT, SUICIDE), first(IMMINENT, SUICIDE, subject=Subject.OTHER)]
        assert [s.reply.card.title for s in steps if s.reply and s.reply.card] == [
            titles.elevated,
            titles.imminent,
            titles.other,
        ]

    def test_another_session_gets_other_words(self) -> None:
        assert len({said(first(ELEVATED, SUICIDE, seed=seed)) for seed in range(30)}) > 8

    def test_the_same_turn_gives_the_same_reply(self) -> None:
        assert said(first(ELEVATED, PSYCHOSIS, seed=5)) == said(first(ELEVATED, PSYCHOSIS, seed=5))


class TestWithoutACountry:
    def test_it_asks_for_it_and_gives_the_emergency_rule(self) -> None:
        text = said(first(IMMINENT, SUICIDE, country=None))
        assert "which country you are in" in text
        assert all(number in text for number in ("911", "999", "000", "112"))
        assert "findahelpline.com" in text

    def test_it_asks_once(self) -> None:
        talk, _ = opened(ELEVATED, SUICIDE, country=None)
        risen = talk.hear("i will do it tonight", Verdict(level=IMMINENT, categories=(SUICIDE,)))
        assert "which country" not in said(risen)

    @pytest.mark.parametrize("told", ["germany", "Germany.", "i'm in germany", "I live in Germany"])
    def test_the_answer_brings_the_lines(self, told: str) -> None:
        talk, _ = opened(ELEVATED, SUICIDE, country=None)
        step = talk.hear(told)
        assert step.reply is not None and step.reply.card is not None
        assert step.reply.card.country == "DE"
        assert "Germany" in said(step) and "0800 111 0 111" in said(step)

    def test_the_lines_of_the_new_country_come_once(self) -> None:
        talk, _ = opened(ELEVATED, SUICIDE, country=None)
        talk.hear("germany")
        step = talk.hear("okay")
        assert step.reply is not None and step.reply.card is None

    def test_a_country_that_the_app_learns_brings_its_lines(self) -> None:
        talk, _ = opened(ELEVATED, SUICIDE, country=None)
        talk.country = "FR"
        assert "France" in said(talk.hear("no"))

    def test_a_country_without_lines_is_told_so_and_not_asked_for(self) -> None:
        text = said(first(ELEVATED, SUICIDE, country="TV"))
        assert "Tuvalu" in text and "findahelpline.com" in text
        assert "which country" not in text


class TestWhoIsTalking:
    def test_a_young_person_gets_a_line_for_the_young(self) -> None:
        step = first(ELEVATED, SUICIDE, text="im 14 and i want to die")
        assert step.reply is not None and step.reply.card is not None
        assert {"gb-childline", "gb-papyrus"} & {line.id for line in step.reply.card.lines[:2]}

    @pytest.mark.parametrize("text", ["i'm deaf and i want to die", "i want to die and i can't speak right now"])
    def test_who_cannot_speak_gets_a_line_to_write_to(self, text: str) -> None:
        step = first(ELEVATED, SUICIDE, text=text, country="US")
        assert "You can text 988" in said(step)
        assert "call or text" not in said(step)

    def test_worry_about_somebody_else_has_its_own_playbook(self) -> None:
        step = first(ELEVATED, SUICIDE, subject=Subject.OTHER)
        assert {move.partition("/")[0] for move in step.moves} == {"third_party", "common"}

    def test_the_one_who_worries_is_met_when_in_danger_too(self) -> None:
        talk, _ = opened(ELEVATED, SUICIDE, subject=Subject.OTHER)
        step = talk.hear("and now i want to kill myself too")
        assert step.moves[0].startswith("suicide/hear")

    def test_a_worried_person_is_not_taken_for_the_one_at_risk(self) -> None:
        talk = walk()
        talk.hear("my son told me he wants to kill himself, he's 15")
        talk.hear("i don't know, he's in his room")
        step = talk.hear("i haven't asked, i'm scared to put the idea in his head")
        assert not any(move.startswith("suicide/") for move in step.moves)

    def test_the_person_is_named_as_the_helper_named_them(self) -> None:
        talk = walk()
        talk.hear("my daughter says she wants to die")
        assert "your daughter" in said(talk.hear("no, not right now"))


class TestTheNextReplies:
    def test_a_rise_brings_the_lines_again(self) -> None:
        talk, _ = opened(ELEVATED, SUICIDE)
        step = talk.hear("i'm going to do it tonight", Verdict(level=IMMINENT, categories=(SUICIDE,)))
        assert step.reply is not None and step.reply.card is not None and step.reply.card.level is IMMINENT
        assert step.moves[:2] == ("suicide/hear_now", "suicide/act_now")

    def test_answers_alone_can_raise_the_risk(self) -> None:
        talk, _ = opened(ELEVATED, SUICIDE)
        for text in ("yes", "yes i have a plan", "yes i want to do it", "yes"):
            step = talk.hear(text, Verdict(level=RiskLevel.NONE))
        assert "suicide/act_now" in step.moves

    def test_a_new_trouble_brings_its_words_and_lines(self) -> None:
        talk, _ = opened(ELEVATED, SUICIDE)
        step = talk.hear("and my husband hits me", Verdict(level=ELEVATED, categories=(ABUSE,)))
        assert step.moves[:2] == ("abuse/hear", "abuse/act")
        assert step.reply is not None and step.reply.card is not None
        assert "gb-domestic-abuse" in {line.id for line in step.reply.card.lines}

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
        talk, _ = opened(ELEVATED, SUICIDE)
        step = talk.hear(text)
        assert step.reply is not None and step.reply.card is not None
        assert "116 123" in said(step)

    @pytest.mark.parametrize(
        "text", ["ok", "a number of things went wrong", "I called him", "numbers are not my thing"]
    )
    def test_who_does_not_ask_gets_no_card(self, text: str) -> None:
        talk, _ = opened(ELEVATED, SUICIDE)
        step = talk.hear(text)
        assert step.reply is not None and step.reply.card is None

    def test_a_refusal_is_not_followed_by_another_question_about_danger(self) -> None:
        talk, _ = opened(ELEVATED, SUICIDE)
        step = talk.hear("i don't want to talk about that")
        assert step.chosen is not None
        assert not [move for move in step.chosen.moves if move.kind is Kind.ASK]

    def test_who_is_tired_of_questions_gets_none(self) -> None:
        talk, _ = opened(ELEVATED, SUICIDE)
        assert "?" not in said(talk.hear("stop asking me questions"))

    def test_a_goodbye_is_left_with_an_open_door_and_no_question(self) -> None:
        talk, _ = opened(ELEVATED, SUICIDE)
        talk.hear("no")
        step = talk.hear("ok i'm going to bed now, bye")
        assert step.moves == ("common/farewell",)

    def test_no_means_danger_when_asked_about_safety(self) -> None:
        talk, _ = opened(ELEVATED, ABUSE)
        talk.hear("no")
        assert talk.progress.answers["safe"] is Answer.NO
        assert not talk.progress.denied

    def test_no_means_less_danger_when_asked_about_suicide(self) -> None:
        talk, _ = opened(ELEVATED, SUICIDE)
        talk.hear("no")
        assert talk.progress.denied

    def test_voices_that_order_harm_are_danger_right_now(self) -> None:
        talk = walk()
        talk.hear("the voices won't stop")
        step = talk.hear("they tell me to kill myself")
        assert step.moves[:2] == ("psychosis/hear_now", "psychosis/act_now")

    def test_methods_are_never_told(self) -> None:
        talk, _ = opened(ELEVATED, SUICIDE)
        step = talk.hear("how many pills would it take to die")
        assert "common/no_method" in step.moves or "suicide/act_now" in step.moves


class TestComingDown:
    def down(self) -> Walk:
        talk = walk()
        for text in (
            "i want to die",
            "no i'm not suicidal, it's just so much",
            "my dog died last week",
            "yeah my sister",
        ):
            talk.hear(text)
        return talk

    def test_a_denial_and_steady_turns_lead_back_to_ordinary_talk(self) -> None:
        talk = self.down()
        assert not talk.progress.open
        assert talk.hear("can you help me plan my week").reply is None

    def test_one_denial_alone_does_not(self) -> None:
        talk = walk()
        talk.hear("i want to die")
        talk.hear("no")
        assert talk.progress.level is ELEVATED

    def test_it_stays_watchful(self) -> None:
        talk = self.down()
        assert talk.progress.watchful and talk.risk.watchful
        step = talk.hear("i can't see the point of anything", Verdict(level=RiskLevel.CONCERN, categories=(SUICIDE,)))
        assert step.reply is not None

    def test_it_opens_again_at_once_in_other_words(self) -> None:
        talk = self.down()
        step = talk.hear("actually i do want to die")
        assert step.reply is not None and step.reply.card is not None
        assert step.reply.move_ids[0] not in talk.progress.said[:-8]

    def test_a_joke_about_it_lowers_nothing(self) -> None:
        talk, _ = opened(IMMINENT, SUICIDE)
        for text in ("jk", "i was kidding", "forget it lol", "just joking"):
            talk.hear(text, Verdict(level=RiskLevel.NONE))
        assert talk.progress.level is IMMINENT

    def test_danger_eases_when_someone_is_there_and_it_is_out_of_reach(self) -> None:
        talk, _ = opened(IMMINENT, SUICIDE)
        for text in ("no", "my sister is here now", "i gave her everything"):
            talk.hear(text, Verdict(level=RiskLevel.NONE))
        assert talk.progress.level is ELEVATED


class TestTheSafetyPlan:
    def test_it_is_kept_in_the_persons_words_and_can_be_taken_out_as_text(self) -> None:
        talk, _ = opened(ELEVATED, SUICIDE)
        for text in (
            "yes",
            "no plan",
            "no",
            "make a safety plan",
            "i stop answering people",
            "music",
            "my sister's kitchen",
        ):
            talk.hear(text, Verdict(level=RiskLevel.NONE))
        assert safety_plan_text(talk.progress, COPY).splitlines() == [
            "My safety plan",
            "How I notice it begins: i stop answering people",
            "What I can do by myself: music",
            "Places and people that take my mind off it: my sister's kitchen",
        ]

    def test_words_of_danger_do_not_go_into_it(self) -> None:
        talk, _ = opened(ELEVATED, SUICIDE)
        talk.progress = talk.progress.model_copy(update={"pending": "plan_own"})
        talk.hear("i want to kill myself")
        assert "own" not in talk.progress.plan


class TestProgress:
    def test_what_the_first_version_stored_still_opens(self) -> None:
        old = {
            "asked": True, "peak": "elevated", "level": "elevated", "categories": ["suicide"], "subject": "self",
            "country": "GB", "offered": ["gb-samaritans"], "said": ["crisis.suicide.self.elevated.hear.2", "notice.1"],
            "disclosed_ai": True, "asked_country": False,
        }  # fmt: skip
        progress = Progress.model_validate(old)
        assert progress.open and progress.disclosed_ai and progress.pending == "safe"
        talk = walk()
        talk.progress = progress
        step = talk.hear("i still want to die")
        assert step.reply is not None and step.reply.card is None

    def test_a_crisis_that_the_first_version_had_closed_stays_closed(self) -> None:
        assert not Progress.model_validate({"asked": False, "peak": "none", "level": "none", "said": []}).open

    def test_an_empty_record_is_a_fresh_start(self) -> None:
        assert Progress.model_validate({}) == Progress()


class TestTheHelpCard:
    @pytest.mark.parametrize("country", COUNTRIES)
    def test_it_has_lines_for_every_country(self, country: str | None) -> None:
        card = help_card(country, DIRECTORY, COPY)
        assert card.lines[0].country == (country or "ZZ")
        assert card.emergency == DIRECTORY.emergency(country)

    def test_it_shows_the_crisis_line_first_and_one_for_each_usual_trouble(self) -> None:
        ids = [line.id for line in help_card("GB", DIRECTORY, COPY).lines]
        assert ids[:5] == ["gb-samaritans", "gb-domestic-abuse", "gb-childline", "gb-frank", "gb-beat"]


def test_every_number_and_site_in_the_copy_is_in_the_directory_or_a_public_finder() -> None:
    allowed = {
        "findahelpline.com",
        "findtreatment.gov",
        "nhs.uk/talk",
        "211.ca",
        "116117.de",
        "monsoutienpsy.sante.gouv.fr",
    }
    for move in PLAYBOOKS.by_id.values():
        for text in move.texts:
            assert set(re.findall(r"\b[\w.-]+\.(?:com|org|gov|ca|de|uk|fr)\b(?:/\w+)?", text)) <= allowed
            assert not re.search(r"\b\d{3,}\b", text)


def test_an_adult_is_not_sent_to_the_childrens_line_and_a_child_is_told_of_it() -> None:
    directory = Directory.load()

    def said(*flags: str) -> list[str]:
        lines = lines_for(directory, "CA", [Category.SUICIDE], RiskLevel.ELEVATED, flags)
        return [line.name for line in said_lines(lines, flags)]

    assert "Kids Help Phone" not in said()
    assert "Kids Help Phone" in said("minor")
