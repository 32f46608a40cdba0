"""What people answer, in the words they use: terse, slang, sarcastic, in a second language, or not at all."""

from __future__ import annotations

import pytest

from warmline.agent.protocol.playbook import DATA, load_playbooks
from warmline.agent.protocol.state import Answer
from warmline.agent.protocol.understand import Heard, load_answers, plain, understand
from warmline.guards.types import RiskLevel, Verdict

TOPICS = load_playbooks().topics
RULES = load_answers(DATA / "answers" / "en.yaml")
CALM = Verdict(level=RiskLevel.NONE)


def heard(text: str, pending: str | None = None) -> Heard:
    topic = TOPICS.get(pending or "")
    return understand(text, pending, CALM, RULES, soft=bool(topic and topic.soft), offer=bool(topic and topic.offer))


YES, NO, UNCLEAR, REFUSED = Answer.YES, Answer.NO, Answer.UNCLEAR, Answer.REFUSED

ANSWERS = {
    "thoughts": {
        YES: "yes|yeah|yep|yea|y|ye|mhm|yes i am|i do|i have|sometimes|kind of|a bit|i guess|lately yeah|on and off"
        "|most days"
        "|all the time|it crosses my mind|every night|yes and no|i just want it to stop|i wish i was dead"
        "|what else would you think"
        "|i've been thinking about suicide|no i just want to sleep forever and not wake up",
        NO: "no|nope|nah|n|never|not at all|god no|of course not|no way|i'm not suicidal|no i would never"
        "|no, not like that"
        "|hell no|absolutely not|i'm not going to kill myself|lol no",
        UNCLEAR: "idk|i don't know|not sure|hard to say|no idea|what do you think",
        REFUSED: "i'd rather not say|none of your business|i don't want to talk about it|does it matter|pass"
        "|stop asking"
        "|why do you care|not answering that",
    },
    "plan": {
        YES: "yes|i know how|i wrote a note|pills|kind of|i've figured it out|i looked up ways",
        NO: "no|no plan|not really|nothing specific|just thoughts|i haven't got that far|nope no plan",
        UNCLEAR: "idk|not sure",
        REFUSED: "i won't say|i don't want to get into it",
    },
    "intent": {
        YES: "yes|i might|i'm scared i will|probably|i think i will|10",
        NO: "no|i wouldn't|i could never, my kids|too scared to|i don't want to die|probably not|0",
        UNCLEAR: "idk|i don't know",
    },
    "means": {
        YES: "yes|in my drawer|right here|i have it with me",
        NO: "no|i threw them away|not here|i gave it to my mum",
    },
    "time": {YES: "tonight|soon|tomorrow|when everyone is asleep|on friday", NO: "no|not yet|some day|no time"},
    "safe": {
        YES: "yes|i'm safe|i think so|for now|i'm okay",
        NO: "no|not really|i'm not safe|not sure|he's in the next room|he is here",
    },
    "with_someone": {YES: "my sister's here|yes my roommate|my parents are downstairs", NO: "no|alone|just me|nobody"},
    "line_use": {
        YES: "ok|sure|i could text|maybe i'll try|i'll call|yes|if it gets really bad",
        NO: "no|i can't|never|i hate that|no point|i don't think so",
        UNCLEAR: "maybe|idk",
    },
    "people": {
        YES: "my sister|my best friend maybe|a teacher|yes",
        NO: "no|no one|nobody|i don't have any friends|i don't want my mum to know",
    },
    "care": {YES: "i have a therapist|yes|i see a psychiatrist", NO: "no|never|i can't afford it|used to"},
    "breathing": {NO: "i can't breathe|no|i feel drowsy", YES: "yes|i'm fine|awake"},
    "body": {YES: "i fainted|dizzy|my chest hurts|yes", NO: "no|i feel fine"},
}
CASES = [
    (topic, text, answer) for topic, by in ANSWERS.items() for answer, texts in by.items() for text in texts.split("|")
]


@pytest.mark.parametrize(("topic", "text", "answer"), CASES)
def test_an_answer_is_understood(topic: str, text: str, answer: Answer) -> None:
    assert heard(text, topic).answer is answer


@pytest.mark.parametrize(
    ("text", "act"),
    [
        ("stop asking me things", "stop_asking"),
        ("leave me alone", "refusal"),
        ("lol", "joke"),
        ("jk forget it", "retraction"),
        ("fuck you", "angry"),
        ("you're useless", "angry"),
        ("r u a bot", "asks_human"),
        ("am i talking to a real person", "asks_human"),
        ("can i talk to a human", "asks_human"),
        ("are you gonna call the cops", "asks_who_sees"),
        ("don't tell my parents", "asks_who_sees"),
        ("what happens if i call them", "asks_line_works"),
        ("whats that number again", "asks_number"),
        ("it's getting worse", "worse"),
        ("i can't do this anymore", "worse"),
        ("i feel a bit better", "better"),
        ("calmer now thanks", "better"),
        ("ty", "thanks"),
        ("gn", "goodbye"),
        ("ok i'm going to bed", "goodbye"),
        ("this is goodbye", "final_goodbye"),
        ("what's your favourite movie", "off_topic"),
        ("can we talk about something else", "off_topic"),
        ("can we make a safety plan", "wants_plan"),
        ("how do i calm down", "wants_skill"),
        ("how do i find a therapist", "wants_therapist"),
        ("how many pills would kill me", "wants_method"),
        ("why do you ask", "asks_why"),
        ("my husband punched me last night", "hurt_by_somebody"),
    ],
)
def test_what_a_message_does_is_understood(text: str, act: str) -> None:
    assert act in heard(text).acts


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("i can't afford it", "cost"),
        ("no insurance", "cost"),
        ("i'm so ashamed", "shame"),
        ("i don't want to be a burden", "burden"),
        ("they'd send the police", "police"),
        ("they'll lock me up in a psych ward", "hospital"),
        ("nothing helps anyway", "hopeless"),
        ("i tried it and they hung up", "hopeless"),
        ("there's a six month waiting list", "waiting"),
        ("my english is not good", "language"),
        ("i'm undocumented", "immigration"),
        ("my parents would find out", "minor"),
        ("i already have a therapist", "therapist_already"),
        ("i hate phone calls", "calling"),
        ("i wouldn't know what to say", "calling"),
        ("someone would hear me", "others_listening"),
        ("i don't trust anyone", "trust"),
    ],
)
def test_what_stands_in_the_way_is_understood(text: str, kind: str) -> None:
    assert kind in heard(text, "line_use").barriers


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("i'm 14", "minor"),
        ("im in year 9", "minor"),
        ("i'm deaf", "deaf"),
        ("i can't talk right now", "cannot_speak"),
        ("he's in the next room", "cannot_speak"),
        ("i live alone", "alone"),
        ("he goes through my phone", "watched"),
    ],
)
def test_who_somebody_is_and_how_they_can_be_reached(text: str, flag: str) -> None:
    assert flag in heard(text).flags


@pytest.mark.parametrize(
    "text",
    ["my son is 14", "when i was 14 i had a dog", "i have been clean for 15 days", "i'm 34", "i'm 16 weeks pregnant"],
)
def test_not_everyone_who_writes_a_number_is_a_child(text: str) -> None:
    assert "minor" not in heard(text).flags


@pytest.mark.parametrize(
    "text", ["what is the point", "what happens now", "i like my cat but i want to die", "my boss fired me"]
)
def test_talk_about_the_matter_is_no_change_of_subject(text: str) -> None:
    assert "off_topic" not in heard(text, "thoughts").acts


@pytest.mark.parametrize("text", ["ok", "fine", "sure"])
def test_okay_agrees_to_an_offer_and_says_nothing_about_danger(text: str) -> None:
    assert heard(text, "thoughts").answer is None
    assert heard(text, "reach_out").answer is YES


def test_an_answer_to_the_question_counts_more_than_an_off_topic_word() -> None:
    assert heard("no, i just watch netflix", "plan").acts == ()


def test_words_may_be_said_back_only_from_a_fixed_list() -> None:
    assert heard("since the funeral nothing makes sense").reflect == "losing someone you love"
    assert heard("xyzzy hurts").reflect is None


def test_whom_somebody_writes_about_is_named_only_from_a_fixed_list() -> None:
    assert heard("my little brother told me something").who == "your brother"
    assert heard("zaphod told me something").who is None


@pytest.mark.parametrize("text", ["", "   ", "🙂", "???", "\u200b", "x" * 100_000, "no " * 50_000, "(" * 5_000])
def test_odd_texts_are_read_without_trouble(text: str) -> None:
    assert isinstance(heard(text, "thoughts"), Heard)


def test_a_message_is_read_in_plain_words() -> None:
    assert plain("Idk, I'm NOT gonna say!!") == "i do not know , i am not going to say"


@pytest.mark.parametrize(
    "text", ["i cant tell my mum", "my kids would be better off", "i can't tell anyone", "my wife left, so what"]
)
def test_naming_somebody_is_no_reason_to_stay(text: str) -> None:
    assert heard(text, "intent").answer is not NO
