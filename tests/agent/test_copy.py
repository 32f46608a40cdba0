"""Everything the agent says by itself keeps the rules of copy, and a broken file is refused with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from warmline.agent.copy import DATA, Copy, CopyError, choose, pick
from warmline.agent.protocol.places import finders
from warmline.agent.protocol.playbook import Kind, load_playbooks
from warmline.guards.output import OutputGuard
from warmline.guards.types import Category, Subject

COPY = Copy.load()
PLAYBOOKS = load_playbooks()
FILLED = {
    "reach": "You can call this line.",
    "emergency": "999",
    "country": "France",
    "finder": "A doctor can help you find one.",
    "reflect": "losing your job",
    "who": "your friend",
    "plan": "",
}


def walk(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value, start=1):
            yield from walk(inner, f"{path}.{number}")


TEXTS = {path: text for path, text in walk(COPY.texts) if path != ".language" and not path.startswith(".reach")}
MOVES = {f"{m.id}.{n}": text for m in PLAYBOOKS.by_id.values() for n, text in enumerate(m.texts, start=1)}
TEXTS |= MOVES | {f"finders.{code}": text for code, text in finders().items()}
IMMINENT = {
    f"{move.id}.{n}": text
    for move in PLAYBOOKS.by_id.values()
    for n, text in enumerate(move.texts, start=1)
    if move.kind is Kind.ACT and "level:imminent" in move.written
}


def syllables(word: str) -> int:
    word = re.sub(r"[^a-z]", "", word.lower())
    if len(word) <= 3:
        return 1
    word = re.sub(r"(?:[^laeiouy]es|[^aeiouyt]ed|[^laeiouy]e)$", lambda match: match[0][0], word)
    return max(1, len(re.findall(r"[aeiouy]+", word)))


def grade(text: str) -> float:
    """Flesch-Kincaid grade level (Kincaid and others, 1975): the US school year that can read the text."""
    sentences = [s for s in re.split(r"[.?:\n]+(?:\s|$)|\n", text) if re.search(r"[A-Za-z]", s)]
    words = re.findall(r"[A-Za-z][A-Za-z'.]*", text)
    return 0.39 * len(words) / len(sentences) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59


def test_the_reading_grade_tells_plain_from_hard_text() -> None:
    assert grade("The cat sat on the mat. It was warm.") < 2
    assert grade("Immediate professional intervention is recommended in circumstances of acute destabilisation.") > 12


def test_a_child_of_eleven_can_read_every_text() -> None:
    # The measure is made for passages: one needed word, such as "emergency", decides the grade of a short question.
    limits = {range(8, 20): 9.5, range(20, 200): 6.5}
    hard = {
        path: round(grade(text), 1)
        for path, text in ((path, text.format(**FILLED)) for path, text in TEXTS.items())
        for words, limit in limits.items()
        if len(text.split()) in words and grade(text) > limit
    }
    assert hard == {}


def test_the_whole_copy_reads_at_about_age_ten() -> None:
    grades = [grade(text.format(**FILLED)) for text in TEXTS.values()]
    assert sum(grades) / len(grades) < 4.5


def test_every_text_is_short() -> None:
    assert [path for path, text in TEXTS.items() if len(text.split()) > 90] == []


NEVER = {
    "shouting": r"!|\b[A-Z]{5,}\b",
    "a refusal to talk": r"can(?:'t|not) (?:talk|help|discuss|continue)|not able to (?:talk|help)|unable to",
    "a claim to have called someone": r"\bI(?:'ve| have)? (?:called|alerted|contacted|told|sent)\b|help is on ",
    "a promise of secrecy": r"\b(?:our|between us|I won't tell|confidential|anonymous|no one will know)\b(?! safety)",
    "a claim to be human": r"\b(?:as a (?:human|person|friend|mum|therapist)|I've been there|I know how you feel)\b",
    "a diagnosis": r"\byou(?:'re| are| have) (?:an? )?(?:depress|anorex|bulimi|psycho|bipolar|schizo|addict|disord)",
    "a word about methods": r"\b(?:pills?|tablet|rope|knife|blade|gun|bridge|hang|jump|cut(?:ting)?\b(?! off)|overdos)",
    "shame": r"\b(?:selfish|attention|dramatic|(?:are|'re) weak|coward|ashamed|disappoint|stupid|your own fault)",
    "force": r"\b(?:you must|have to tell me|or else|unless you|I will (?:end|stop|report)|I'll have to)\b",
    "jargon": r"\b(?:ideation|acute|trigger|self-care|cope|coping|professional|clinical|assess|resources)",
    "a promise that it ends well": r"(?:will|going to) be (?:ok|okay|fine|all right)|gets? better",
}


def breaks(rule: str, text: str) -> bool:
    return re.search(NEVER[rule], text, 0 if rule == "shouting" else re.IGNORECASE) is not None


@pytest.mark.parametrize("rule", NEVER)
def test_no_text_holds(rule: str) -> None:
    assert [path for path, text in TEXTS.items() if breaks(rule, text)] == []


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("shouting", "Please stay STRONG with us."),
        ("a refusal to talk", "I can't talk about this."),
        ("a claim to have called someone", "I have alerted the police for you."),
        ("a promise of secrecy", "This stays between us."),
        ("a claim to be human", "As a therapist I see this often."),
        ("a diagnosis", "It seems you are depressed."),
        ("a word about methods", "Put the pills away."),
        ("shame", "That would be selfish."),
        ("force", "I will end this talk unless you call."),
        ("jargon", "Let us look at your coping and your triggers: what triggered it?"),
        ("a promise that it ends well", "It will be okay."),
    ],
)
def test_the_rule_catches(rule: str, text: str) -> None:
    assert breaks(rule, text)


def test_the_guard_that_stands_over_the_model_lets_every_text_of_the_playbooks_through() -> None:
    guard = OutputGuard()
    found = {
        path: guard.check(text.format(**FILLED | {"reach": "You can talk to somebody."}), whole=True)
        for path, text in MOVES.items()
    }
    assert {path: verdict.problems for path, verdict in found.items() if verdict.problems} == {}


@pytest.mark.parametrize("text", [pytest.param(t, id=p) for p, t in IMMINENT.items()])
class TestDangerRightNow:
    def test_says_whom_to_call(self, text: str) -> None:
        assert re.search(r"[Cc]all \{emergency\}", text)
        assert "{reach}" in text

    def test_says_to_be_with_someone(self, text: str) -> None:
        assert re.search(
            r"\b(?:with (?:you|someone|them|a person)|stay with|near (?:them|others)|beside them|other people|alone)\b",
            text,
            re.IGNORECASE,
        )

    def test_says_to_get_away_from_the_danger(self, text: str) -> None:
        assert re.search(r"\b(?:distance|away|out of reach|safer place)\b", text)

    def test_comes_in_three_steps(self, text: str) -> None:
        assert re.findall(r"^(\d)\.", text, re.MULTILINE) == ["1", "2", "3"]


def test_eating_disorder_copy_talks_neither_of_numbers_nor_of_weight() -> None:
    texts = " ".join(text for path, text in TEXTS.items() if path.startswith("eating_disorder/"))
    assert not re.search(r"\b(?:weight|weigh|calori|kilo|pound|kg|bmi|thin|fat|slim|size|diet|eat more)\b", texts, re.I)
    assert not re.search(r"\d", re.sub(r"^\d\.", "", texts, flags=re.MULTILINE))


def test_psychosis_copy_neither_argues_nor_agrees() -> None:
    texts = " ".join(text for path, text in TEXTS.items() if path.startswith("psychosis/"))
    assert not re.search(
        r"not real|imagin|delusion|hallucinat|isn't true|I believe you|they are after|paranoi", texts, re.I
    )


def test_abuse_copy_minds_that_the_device_may_be_watched() -> None:
    moves = PLAYBOOKS.by_id
    assert all("phone or computer" in text for text in moves["abuse/act"].texts)
    assert all("see this screen" in text for text in moves["abuse/act_now"].texts)


def test_abuse_copy_never_tells_to_face_the_abuser() -> None:
    texts = " ".join(text for path, text in TEXTS.items() if path.startswith("abuse/"))
    assert not re.search(r"\bconfront|stand up to|talk to (?:him|her|the person who)|leave (?:him|her)\b", texts, re.I)


def test_copy_for_someone_else_says_they_them_and_not_you_are_at_risk() -> None:
    texts = [text for path, text in IMMINENT.items() if path.startswith("third_party/")]
    assert all(re.search(r"\b(?:they|them|their|someone|person|anyone)\b", text) for text in texts)


LEADS = r"\byou(?:'re| are) not\b|aren't|don't want to|won't you|\bright\?|surely|\bnot\b.*\bare you\?|promise"


def test_no_question_about_danger_leads() -> None:
    asked = [(path, text) for path, text in MOVES.items() if PLAYBOOKS.by_id[path.rpartition(".")[0]].kind is Kind.ASK]
    assert len(asked) > 150
    assert [path for path, text in asked if re.search(LEADS, text, re.IGNORECASE)] == []


def test_the_question_about_suicide_names_it() -> None:
    asked = [text for move in PLAYBOOKS.by_id.values() if move.asks == "thoughts" for text in move.texts]
    named = r"suicid|end(?:ing)? your(?: own)? life|not wanting to be alive|to die|dying|think about dying"
    assert [text for text in asked if not re.search(named, text)] == []


def test_the_direct_question_does_not_lead() -> None:
    questions = COPY.texts.safety_question["suicide"]
    assert len(questions) >= 6
    assert not any(
        re.search(r"\byou(?:'re| are) not\b|aren't|don't want to|\bright\?|surely|\bnot\b.*\bare you\?", q)
        for q in questions
    )


def test_other_categories_are_asked_about_safety_and_not_about_dying() -> None:
    asked = {category: COPY.texts.safety_question[category] for category in Category}
    gentle = [q for category, qs in asked.items() if category is not Category.SUICIDE for q in qs]
    assert not any(re.search(r"suicid|ending your life|dying|not wanting to be alive", q) for q in gentle)


def test_a_failed_check_still_shows_the_way_to_a_human() -> None:
    for texts in (COPY.texts.hold, COPY.texts.model_down, COPY.texts.model_slow):
        assert all("findahelpline.com" in text for text in texts)
    assert all("local emergency number" in text for text in COPY.texts.hold)


def test_the_notice_says_it_is_an_ai_and_can_call_nobody() -> None:
    assert COPY.notice() == "I'm an AI, not a person. I can't see you or call anyone for you."


def test_every_load_is_the_same() -> None:
    assert Copy.load().texts == COPY.texts


class TestChoosing:
    def test_the_same_seed_gives_the_same_words(self) -> None:
        assert {pick("abcdef", 7, "key") for _ in range(20)} == {pick("abcdef", 7, "key")}

    def test_different_seeds_reach_every_variant(self) -> None:
        assert {pick("abc", seed, "key") for seed in range(60)} == {"a", "b", "c"}

    def test_what_was_said_does_not_come_back_while_there_is_another(self) -> None:
        assert {choose("abc", seed, "k", {"k.1", "k.3"}) for seed in range(30)} == {("k.2", "b")}

    def test_when_all_were_said_one_comes_back(self) -> None:
        assert choose("ab", 1, "k", {"k.1", "k.2"})[1] in "ab"


class TestEndings:
    @pytest.mark.parametrize(
        ("problems", "begun", "key"),
        [
            (("output:diagnosis",), True, "replaced"),
            (("output:diagnosis",), False, "replaced_whole"),
            (("model:unreachable",), False, "model_down"),
            (("model:slow_first_token",), False, "model_slow"),
            (("model:cut_off",), True, "cut_off"),
            (("model:stalled", "output:method_information"), True, "replaced"),
            (("guard:TimeoutError",), True, "hold"),
        ],
    )
    def test_the_ending_tells_what_went_wrong(self, problems: tuple[str, ...], begun: bool, key: str) -> None:
        assert COPY.ending(problems, begun=begun, seed=3) in getattr(COPY.texts, key)

    def test_a_concern_about_someone_else_is_asked_about_them(self) -> None:
        question = COPY.safety_question((Category.SUICIDE,), seed=1, subject=Subject.OTHER)
        assert question in COPY.texts.safety_question["other"]

    def test_a_concern_without_a_category_gets_the_open_question(self) -> None:
        assert COPY.safety_question((), seed=1) in COPY.texts.safety_question["any"]

    def test_the_first_category_decides_the_question(self) -> None:
        question = COPY.safety_question((Category.ABUSE, Category.SUICIDE), seed=1)
        assert question in COPY.texts.safety_question["abuse"]


class TestBrokenFile:
    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            ("empty: I did not get any words.", "empty: Nothing!", "empty: .*exclamation"),
            ("  one: You can {first}.", "  one: You can {frist}.", "reach.one: .*frist"),
            ("empty: I did", "emptied: I did", "empty: Field required"),
            ("  neglect:\n    - Do you", "  negligence:\n    - Do you", "safety_question has unknown or missing keys"),
        ],
    )
    def test_the_error_names_the_file_and_the_key(self, tmp_path: Path, old: str, new: str, told: str) -> None:
        text = (DATA / "en.yaml").read_text("utf-8")
        assert text.count(old) == 1
        path = tmp_path / "en.yaml"
        path.write_text(text.replace(old, new), "utf-8")
        with pytest.raises(CopyError, match=rf"(?s){re.escape(str(path))}: .*{told}"):
            Copy.load(path=path)

    def test_an_unknown_language_is_told(self) -> None:
        with pytest.raises(CopyError, match=r"tlh\.yaml: cannot be read"):
            Copy.load("tlh")

    def test_broken_yaml_is_told_with_its_line(self, tmp_path: Path) -> None:
        path = tmp_path / "en.yaml"
        path.write_text("language: en\nnotice: [unclosed\n", "utf-8")
        with pytest.raises(CopyError, match="line"):
            Copy.load(path=path)
