"""One plain spelling, and the way back to what was typed."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmline.guards.canonical import canonical
from warmline.guards.clean import clean


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("Hello THERE", "hello there"),
        ("ｋｉｌｌ", "kill"),
        ("𝓼𝓾𝓲𝓬𝓲𝓭𝓮", "suicide"),
        ("ﬁne", "fine"),
        ("su\u200bic\u200dide", "suicide"),
        ("su\u202eic\u2066ide", "suicide"),
        ("s\x00ui\x07cide", "suicide"),
        ("d\u0301\u0302\u0303\u0304i\u0301e\u0316", "die"),
        ("suícîdé", "suicide"),
        ("lone \ud800surrogate", "lone surrogate"),
        ("su1c1de", "suicide"),
        ("k1ll", "kill"),
        ("5uicide", "suicide"),
        ("su!c!de", "suicide"),
        ("unal1v3", "unalive"),
        ("k i l l  m y s e l f", "kill  myself"),
        ("s.u.i.c.i.d.e", "suicide"),
        ("s-u-i-c-i-d-e", "suicide"),
        ("sooooo sad", "soo sad"),
        ("don’t “go”", 'don\'t "go"'),
        ("kill&#32;myself", "kill myself"),
        ("&#115;uicide", "suicide"),
        ("\x1b[31mkill\x1b[0m me", "kill me"),
        ("a\tb\r\nc", "a b\n\nc"),
    ],
)
def test_disguises_come_off(typed: str, plain: str):
    assert canonical(typed).text.replace("\t", " ") == plain


@pytest.mark.parametrize("typed", ["kіll mysеlf", "suісіdе", "diе", "ｓuіcide", "ѕuicidе"])
def test_look_alike_letters_in_latin_words_become_latin(typed: str):
    assert canonical(typed).text.isascii()


@pytest.mark.parametrize("text", ["я не хочу жить", "θέλω να πεθάνω", "мне сорок пять", "привет, я Anna", "أريد"])
def test_other_scripts_stay_what_they_are(text: str):
    assert canonical(text).text == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "2nite",
        "5mg",
        "20mg at 9pm",
        "call 0800 1111",
        "b4 2moro",
        "at 7.30",
        "ps5 and mp3",
        "3am",
        "u r so nice",
        "100%",
    ],
)
def test_numbers_times_and_chat_spellings_are_left_alone(text: str):
    assert canonical(text).text == text


@pytest.mark.parametrize("text", ["🔫 and 💊", "heart 💔"])
def test_emoji_stay(text: str):
    assert canonical(text).text == text


def test_readable_base64_is_decoded_once():
    inner = base64.b64encode(b"i want to end my life tonight").decode()
    assert "end my life" in canonical(f"read this {inner}").text
    twice = base64.b64encode(inner.encode()).decode()
    assert "end my life" not in canonical(twice).text


def test_what_only_looks_like_base64_stays():
    token = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo0NTY3ODk="
    assert len(canonical(f"key {token}").text) >= len("key ") + 20
    assert canonical("internationalisationalism").text == "internationalisationalism"


@pytest.mark.parametrize(
    ("typed", "word", "shown"),
    [
        ("I want to su\u200bicide now", "suicide", "su\u200bicide"),
        ("so k i l l me", "kill", "k i l l"),
        ("&lt;3 die", "die", "die"),
        ("sooooo dead", "dead", "dead"),
        ("\x1b[1mdead\x1b[0m tired", "dead", "dead"),
        ("xﬁ \ud800 ne dead", "dead", "dead"),
    ],
)
def test_a_span_leads_back_to_what_was_typed(typed: str, word: str, shown: str):
    plain = canonical(typed)
    at = plain.text.index(word)
    start, end = plain.span(at, at + len(word))
    assert typed[start:end] == shown


_ANY = st.text(st.characters(codec=None), max_size=200) | st.text("kil1!m \u200b\u0301&#;.-sе", max_size=80)


@given(_ANY, st.data())
def test_every_span_lies_inside_the_original(text: str, data: st.DataObject):
    plain = canonical(text)
    start = data.draw(st.integers(0, len(plain.text)))
    end = data.draw(st.integers(start, len(plain.text)))
    first, last = plain.span(start, end)
    assert 0 <= first <= last <= len(text)


@given(st.text(st.characters(codec=None), max_size=200))
def test_canonical_text_has_no_invisible_controls(text: str):
    assert not any(c in canonical(text).text for c in "\x00\x1b\u200b\u202e\u2066\ufeff\x7f")


@pytest.mark.parametrize(
    ("dirty", "shown"),
    [
        ("plain text", "plain text"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("nul\x00 bell\x07 del\x7f", "nul bell del"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x9b31mred", "red"),
        ("\x1b", ""),
        ("a\u202eb\u2066c\u2069", "abc"),
        ("lone \ud800 one", "lone \ufffd one"),
        ("\ud83d\ude00", "😀"),
        ("line\r\nline\rline", "line\nline\nline"),
        ("e" + "\u0301" * 50, "e" + "\u0301" * 4),
        ("👩‍👩‍👧 שלום ไม่ค่ะ", "👩‍👩‍👧 שלום ไม่ค่ะ"),
        ("i feel [/] broken [", "i feel [/] broken ["),
    ],
)
def test_cleaned_text_is_safe_to_show_and_otherwise_as_typed(dirty: str, shown: str):
    assert clean(dirty) == shown


@given(st.text(st.characters(codec=None), max_size=300))
def test_cleaned_text_can_be_stored_and_is_clean_for_good(text: str):
    once = clean(text)
    once.encode()
    assert clean(once) == once
