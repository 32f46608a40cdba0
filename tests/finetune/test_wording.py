"""A long written answer becomes a reply that could be said: short, plain, without lists, hearing the person first."""

import pytest

from warmline.finetune.pairs import DataError
from warmline.finetune.wording import hears_the_person, names_danger, read_wording, reword, shipped_wording

ESSAY = """I'm sorry to hear that you're struggling with sleep. It must be exhausting.

Here are some strategies that can help:

1. Bedtime routine: Go to bed at the same time each night. This tells your body that it is time to rest.

2. **Screens**: Put your phone away an hour before.

3. Therapy: Consider seeing somebody who knows about sleep."""


def test_a_short_answer_stays_as_it_is() -> None:
    assert reword("That sounds lonely. Who do you miss most?", 90).text == "That sounds lonely. Who do you miss most?"


def test_a_list_becomes_sentences_without_marks_and_headings() -> None:
    text = reword(ESSAY, 90).text
    assert "Go to bed at the same time each night." in text
    assert not any(mark in text for mark in ("1.", "*", "Bedtime routine", "Screens", "Here are"))


def test_the_end_is_the_end_of_a_sentence_and_within_the_limit() -> None:
    for words in (20, 30, 40):
        text = reword(ESSAY, words).text
        assert text.endswith(".")
        assert len(text.split()) <= words


def test_the_first_sentence_stays_even_when_it_alone_is_too_long() -> None:
    sentence = "It makes sense that you are worn out " + "and tired " * 20 + "of all this."
    assert reword(sentence + " Rest a little.", 20).text == sentence


def test_an_answer_ends_with_its_first_idea_once_that_is_said() -> None:
    idea = "You could write down one thing each evening that was less bad than the rest of the day."
    answer = (
        f"That sounds lonely, and it makes sense that you miss them so much.\n\n{idea}\n\nYou could also call a friend."
    )
    assert reword(answer, 40).text.endswith(idea)


def test_sentences_that_ran_together_are_parted() -> None:
    assert reword("That sounds hard.Be gentle with yourself.", 90).text == "That sounds hard. Be gentle with yourself."


def test_half_a_sentence_at_the_end_is_not_learnt() -> None:
    assert reword("That sounds hard. You could try to", 90).text == "That sounds hard."


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("As a counselor, I often see this.", "speaks as a professional or a person"),
        ("I'm a therapist and I can tell you this is common.", "speaks as a professional or a person"),
        ("I have been through this myself.", "speaks as a professional or a person"),
        ("We can talk about it in our next session.", "speaks as a professional or a person"),
        ("Sometimes we all need a rest from our lives.", "speaks as a professional or a person"),
        ("I'm not a doctor.", "speaks about what it is not"),
        ("I'm here for you always.", "promises to be there"),
        ("Please don't hesitate to write.", "promises to be there"),
        ("Let's work on this together, you and me.", "promises to be there"),
        ("There are several steps you can take.", "announces a list"),
        ("It takes a lot of courage to open up.", "stock praise"),
        ("Communication is key in a marriage.", "lectures"),
    ],
)
def test_a_sentence_that_no_reply_should_hold_is_left_out_and_named(sentence: str, reason: str) -> None:
    done = reword(f"That sounds hard. {sentence} Be gentle with yourself.", 90)
    assert done.text == "That sounds hard. Be gentle with yourself."
    assert done.left_out == (reason,)


@pytest.mark.parametrize(
    ("stiff", "plain"),
    [
        ("Firstly, talk to a friend.", "Talk to a friend."),
        ("Additionally, you could go for a walk!", "You could go for a walk."),
        ("While I'm not an expert, it can help to rest.", "It can help to rest."),
        ("It's important to prioritize self-care.", "It can help to look after yourself."),
        ("One suggestion I have is to write it down.", "You could write it down."),
        ("One strategy you can try is creating a routine.", "One thing that may help is creating a routine."),
        ("I can understand how challenging it must be for you to face this.", "It must be hard to face this."),
        ("I'm really sorry to hear that you're alone.", "I'm sorry that you're alone."),
        ("It's completely normal to feel lost.", "It makes sense to feel lost."),
        ("I understand that waiting is painful.", "Waiting is painful."),
        ("You were tired, and I can imagine how hard it must be.", "You were tired, and it must be hard."),
        ("It might be beneficial for you to ask for help.", "It might help to ask for help."),
        ("Remember, you are not alone.", "You are not alone."),
        ("Many individuals utilize breathing.", "Many people use breathing."),
    ],
)
def test_stiff_words_become_plain_ones(stiff: str, plain: str) -> None:
    assert reword(stiff, 90).text == plain


def test_a_second_sentence_that_begins_like_the_first_is_left_out() -> None:
    done = reword("One thing that may help is rest. One thing that may help is a walk. Eat well.", 90)
    assert done.text == "One thing that may help is rest. Eat well."


def test_a_refused_sentence_is_left_out_and_the_refuser_sees_what_stands_before_it() -> None:
    asked: list[tuple[str, str]] = []

    def refused(sentence: str, before: str) -> bool:
        asked.append((sentence, before))
        return "depression" in sentence

    done = reword("That sounds heavy. You have depression. Be kind to yourself.", 90, refused=refused)
    assert done.text == "That sounds heavy. Be kind to yourself."
    assert asked[-1] == ("Be kind to yourself.", "That sounds heavy. ")


def test_nothing_is_left_of_an_answer_that_is_nothing_but_stock() -> None:
    assert reword("I'm always here for you!", 90).text == ""


def test_advice_without_a_word_for_the_person_does_not_hear_them() -> None:
    assert not hears_the_person("You could look into support groups. These offer a safe place.")
    assert hears_the_person("That sounds lonely. You could look into support groups.")


@pytest.mark.parametrize(
    "question", ["I have self-harm urges.", "My abusive partner came back.", "I keep binging.", "He threatened my son."]
)
def test_a_question_about_danger_is_found(question: str) -> None:
    assert names_danger(question)


@pytest.mark.parametrize("question", ["Work kills my joy.", "I feel stuck in my career.", "I improve my skills."])
def test_a_question_about_a_bad_time_is_not(question: str) -> None:
    assert not names_danger(question)


def test_a_rule_that_is_no_pattern_is_told_with_its_key() -> None:
    broken = "version: 1\nleave_out: []\nhears: ['(']\ndanger: ['x']\nswap: []"
    with pytest.raises(DataError, match=r"mine\.yaml: hears\.0: .*not a regular expression"):
        read_wording(broken, "mine.yaml")


def test_the_shipped_rules_leave_the_agents_own_examples_alone() -> None:
    from warmline.agent.prompt import support_prompt

    for example in support_prompt().examples[:2]:
        assert reword(example.assistant, 90, wording=shipped_wording()).text == example.assistant
