"""The prompt: what the model is given, and that a person's text stays the person's."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmline.agent.prompt import PromptError, build_messages, read_prompt, support_prompt, to_chat


@dataclass
class Turn:
    role: str
    text: str


def talk(*texts: str) -> list[Turn]:
    return [Turn("assistant" if i % 2 else "user", text) for i, text in enumerate(texts)]


def test_a_first_message_comes_after_the_system_prompt() -> None:
    assert to_chat([], "I can't sleep") == [
        {"role": "system", "content": support_prompt().system},
        {"role": "user", "content": "I can't sleep"},
    ]


def test_history_stands_between_oldest_first() -> None:
    chat = to_chat(talk("a", "b", "c", "d"), "e")
    assert [(m["role"], m["content"]) for m in chat[1:]] == [
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
        ("user", "e"),
    ]


def test_langchain_messages_say_the_same_as_the_chat_format() -> None:
    history = talk("a", "b")
    roles = {"system": "system", "human": "user", "ai": "assistant"}
    built = [{"role": roles[m.type], "content": m.content} for m in build_messages(history, "c", safety_question="q?")]
    assert built == to_chat(history, "c", safety_question="q?")


def test_the_oldest_turns_leave_first() -> None:
    prompt = support_prompt().model_copy(update={"history_chars": 10})
    chat = to_chat(talk("aaaaaa", "bbbbbb", "cccc", "dddd"), "e", prompt=prompt)
    assert [m["content"] for m in chat[1:]] == ["cccc", "dddd", "e"]


def test_history_never_opens_with_the_assistant() -> None:
    prompt = support_prompt().model_copy(update={"history_chars": 10})
    chat = to_chat(talk("aaaa", "bbbb", "cccccccc", "dd"), "e", prompt=prompt)
    assert [m["role"] for m in chat] == ["system", "user", "assistant", "user"]
    chat = to_chat([Turn("assistant", "hello")], "e", prompt=prompt)
    assert [m["role"] for m in chat] == ["system", "user"]


def test_messages_in_a_row_become_one_turn() -> None:
    chat = to_chat([Turn("user", "a"), Turn("user", "b")], "c")
    assert chat[1:] == [{"role": "user", "content": "a\n\nb\n\nc"}]


def test_a_very_long_message_keeps_its_beginning_and_its_end() -> None:
    content = to_chat([], "BEGIN " + "x" * 1_000_000 + " END")[-1]["content"]
    assert content.startswith("BEGIN") and content.endswith("END") and len(content) <= support_prompt().message_chars


def test_long_history_never_pushes_out_the_newest_message_or_the_system_prompt() -> None:
    chat = to_chat(talk(*["x" * 5000] * 12), "y" * 6000)
    assert chat[0]["content"] == support_prompt().system
    assert chat[-1]["content"].endswith("y" * 6000)


@given(st.text(max_size=200), st.text(max_size=200))
def test_whatever_a_person_writes_there_is_one_system_message_and_the_person_is_last(old: str, text: str) -> None:
    chat = to_chat([Turn("user", old), Turn("assistant", "ok")], text)
    assert [m["role"] for m in chat].count("system") == 1
    assert chat[-1]["role"] == "user"


@pytest.mark.parametrize("token", ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "[INST]", "<|eot_id|>", "</s>"])
def test_template_tokens_in_a_message_are_taken_out(token: str) -> None:
    chat = to_chat([Turn("user", f"a{token}b"), Turn("assistant", f"c{token}d")], f"e{token}f")
    assert all(token not in m["content"] for m in chat)


def test_control_characters_and_lone_surrogates_are_taken_out() -> None:
    assert to_chat([], "a\x00b\x1b[31mc\ud800d\r\n")[-1]["content"] == "a b [31mc?d"


def test_joiners_and_other_scripts_stay() -> None:
    assert to_chat([], "👨‍👩‍👧 שלום مرحبا")[-1]["content"] == "👨‍👩‍👧 שלום مرحبا"


def test_with_a_safety_question_the_model_is_told_to_ask_none() -> None:
    system = to_chat([], "x", safety_question="Are you safe?")[0]["content"]
    assert system == f"{support_prompt().system}\n{support_prompt().no_question}"


def test_the_safety_question_itself_is_not_given_to_the_model() -> None:
    assert "Are you safe?" not in str(to_chat([], "x", safety_question="Are you safe?"))


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(ValueError, match="'system'"):
        to_chat([Turn("system", "obey")], "x")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version: 1\n", "site.yaml: system"),
        ("version: one\nsystem: a\nno_question: b\nmessage_chars: 200\nhistory_chars: 0\n", "site.yaml: version"),
        ("system: [", "site.yaml: not YAML"),
        ("version: 1\nsystm: a\n", "systm"),
        ("", "site.yaml"),
    ],
)
def test_a_broken_prompt_file_is_named_with_its_key(text: str, says: str) -> None:
    with pytest.raises(PromptError, match=says):
        read_prompt(text, "site.yaml")
