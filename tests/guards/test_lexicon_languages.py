"""The lexicons in other languages: what each finds and leaves alone, who reads what, and what it costs."""

import random
import time
import unicodedata
from pathlib import Path

import pytest
import yaml

from warmline.guards.canonical import canonical
from warmline.guards.filter import CrisisFilter
from warmline.guards.languages import TABLE, Languages, Signs, load_languages, shipped_languages
from warmline.guards.lexicon import SHIPPED, Lexicon, LexiconError, load_lexicon
from warmline.guards.types import Category, RiskLevel

CODES = sorted(yaml.safe_load(TABLE.read_text("utf-8")))
FILTER = CrisisFilter(encoder=None)

CRISES = {
    "es": (
        "ya no quiero vivir",
        "me corto los brazos otra vez",
        "mi marido me pega cuando bebe",
        "oigo voces que me dicen cosas",
    ),
    "pt": ("n quero mais viver", "me corto com gilete", "meu marido me bate", "não consigo parar de beber"),
    "de": ("ich will nicht mehr leben", "ich ritze mich wieder", "mein mann schlägt mich", "ich höre stimmen im kopf"),
    "fr": ("j'ai envie de mourir", "je me scarifie les bras", "mon mari me frappe", "jveux plus vivre"),
    "it": ("voglio morire", "mi taglio le braccia", "mio marito mi picchia", "sento voci nella testa"),
    "nl": ("ik wil niet meer leven", "mijn man slaat me", "ik hoor stemmen in mijn hoofd"),
    "pl": ("chcę umrzeć", "znowu się tnę", "mąż mnie bije", "nie chce mi sie zyc"),
    "ru": ("я хочу умереть", "режу себе руки", "муж меня бьет", "слышу голоса"),
    "uk": ("не хочу жити", "чоловік б'є мене", "чую голоси в голові"),
    "tr": ("ölmek istiyorum", "kocam beni dövüyor", "intihar etmeyi düşünüyorum"),
    "ar": ("أريد أن أموت", "زوجي يضربني", "بدي موت", "أسمع أصوات في راسي"),
    "fa": ("میخوام بمیرم", "دیگه نمی‌خوام زنده باشم", "شوهرم کتکم میزنه"),
    "hi": ("मैं मरना चाहता हूँ", "main marna chahti hu", "papa mujhe roz maarte hain", "पति मुझे मारता है"),
    "bn": ("আমি মরে যেতে চাই", "আমার স্বামী আমাকে মারে"),
    "zh": ("我不想活了", "他喝醉了就打我", "想死", "我不想活了,想從樓上跳下去"),
    "ja": ("死にたい", "夫に殴られています", "リスカがやめられない", "もう生きていたくない"),
    "ko": ("죽고싶어", "죽고 싶어요", "손목을 그었어요", "남편이 때려요"),
    "vi": ("mình muốn chết", "minh muon chet", "chồng đánh tôi mỗi ngày"),
    "id": ("aku pengen mati", "gue mau bunuh diri", "suami sering mukul aku"),
    "tl": ("gusto ko na mamatay", "binubugbog ako ng asawa ko", "ayoko na mabuhay"),
}

CALM = {
    "es": (
        "me muero de risa",
        "no quiero morir, quiero dormir",
        "en mi novela la protagonista oye voces",
        "me corto el pelo mañana",
    ),
    "pt": ("tô morrendo de rir", "não quero morrer", "vou matar a saudade", "cortei o cabelo ontem"),
    "de": (
        "ich sterbe vor hunger",
        "ich will nicht sterben",
        "die prüfung bringt mich um",
        "suizidgedanken hab ich keine",
    ),
    "fr": ("je suis mort de rire", "je ne veux pas mourir", "je me suis coupé les cheveux"),
    "it": ("muoio di fame", "non voglio morire", "ho tagliato i capelli"),
    "nl": ("ik sterf van de honger", "ik wil niet dood", "ik lach me dood"),
    "pl": ("umieram z głodu", "nie chcę umrzeć", "mama mnie zabije"),
    "ru": ("умираю со смеху", "не хочу умирать", "умираю как хочу спать"),
    "uk": ("помираю зі сміху", "не хочу вмирати"),
    "tr": ("gülmekten öldüm", "ölmek istemiyorum", "açlıktan ölüyorum"),
    "ar": ("رح موت من الضحك", "لا أريد أن أموت"),
    "fa": ("از خنده مردم", "نمیخوام بمیرم"),
    "hi": ("hasi se mar gaya", "भूख से मर रहा हूँ", "main marna nahi chahta"),
    "bn": ("হাসতে হাসতে মরে গেলাম", "চা খাইতে ইচ্ছা করে"),
    "zh": ("笑死我了", "饿死了", "我不想死", "想死你了"),
    "ja": ("笑い死ぬかと思った", "お腹すいて死にそう", "死にたくない"),
    "ko": ("배고파 죽겠다", "웃겨 죽겠어", "머리 잘랐어"),
    "vi": ("cười chết mất", "đói muốn chết", "cắt tóc hôm nay"),
    "id": ("ketawa sampe mau mati", "aku gak mau mati", "mati lampu lagi"),
    "tl": ("mamatay na ako sa tawa", "mamamatay na ako sa gutom", "papatayin ako ni nanay"),
}


def sentences(table: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(code, text) for code, texts in table.items() for text in texts]


@pytest.mark.parametrize(("code", "text"), sentences(CRISES))
def test_a_crisis_is_found_in_its_language(code: str, text: str):
    assert FILTER.screen(text).level >= RiskLevel.ELEVATED


@pytest.mark.parametrize(("code", "text"), sentences(CALM))
def test_idioms_and_negations_of_the_language_are_left_alone(code: str, text: str):
    assert FILTER.screen(text).level < RiskLevel.ELEVATED


@pytest.mark.parametrize("code", CODES)
def test_every_language_speaks_for_every_category(code: str):
    lexicon = load_lexicon(code)
    assert lexicon.language == code
    assert lexicon.categories == frozenset(Category)


@pytest.mark.parametrize("code", CODES)
def test_every_pattern_of_a_language_compiles(code: str):
    assert load_lexicon(code).compile() > 50


@pytest.mark.parametrize("code", CODES)
def test_rules_carry_the_code_of_their_language_so_that_evidence_names_it(code: str):
    data = yaml.safe_load((SHIPPED / f"{code}.yaml").read_text("utf-8"))
    ids = [rule["id"] for rules in data["rules"].values() for rule in rules]
    assert all(name.startswith(f"{code}-") for name in ids)


def test_every_lexicon_that_ships_is_named_in_the_table():
    assert {path.stem for path in SHIPPED.glob("*.yaml")} == {"en", *CODES}


@pytest.mark.parametrize("code", CODES)
def test_the_signs_put_the_own_sentences_of_a_language_at_stake(code: str):
    for text in (*CRISES[code], *CALM[code][:1]):
        assert code in shipped_languages().at_stake(canonical(text).text), text


def test_english_puts_no_other_language_at_stake():
    text = "i don't want to live any more. my husband hit me and i can't stop drinking, what should i do tonight?"
    assert shipped_languages().at_stake(canonical(text).text) == []


def test_a_language_that_is_not_at_stake_is_never_loaded():
    def refuse(code: str) -> Lexicon:
        raise AssertionError(f"{code} was loaded")

    languages = Languages({"es": Signs(words="quiero"), "ru": Signs(scripts=("\u0400-\u04ff",))}, refuse)
    assert CrisisFilter(languages=languages, encoder=None).screen("i want to die").level is RiskLevel.ELEVATED


def test_evidence_is_shown_in_the_words_the_person_typed():
    verdict = FILTER.screen("Hoy fui al mercado. Ya NO quiero vivir, la verdad.")
    assert verdict.evidence[0].text == "NO quiero vivir"


def test_evidence_in_a_script_without_spaces_is_cut_at_its_characters():
    verdict = FILTER.screen("今天下雨了。我不想活了。")
    assert "不想活" in verdict.evidence[0].text
    assert "下雨" not in verdict.evidence[0].text


@pytest.mark.parametrize(
    "text",
    [
        "i'm so tired of this, ya no quiero vivir",
        "school was fine today lol. 죽고싶어",
        "my dad is asleep. я хочу умереть",
        "ok so basically main marna chahti hu and nobody cares",
    ],
)
def test_a_crisis_in_one_language_is_found_inside_another(text: str):
    assert FILTER.screen(text).crisis


def test_a_russian_word_with_a_latin_letter_in_it_is_still_russian():
    assert FILTER.screen("я xoчу умepeть").crisis


def test_korean_and_japanese_in_pieces_read_as_whole_letters():
    assert FILTER.screen(unicodedata.normalize("NFD", "죽고 싶어요")).crisis
    assert FILTER.screen(unicodedata.normalize("NFD", "薬を全部飲んだ。もう死にたい。ずっと")).crisis


@pytest.mark.parametrize("word", ["жизнь", "не", "вот", "ζωή", "मरना", "زندگی", "死にたい", "죽고", "বাঁচতে"])
def test_canonical_text_leaves_a_foreign_word_in_its_script(word: str):
    assert not any("a" <= c <= "z" for c in canonical(word).text)


def test_letters_with_a_stroke_are_read_as_plain_ones():
    assert canonical("Żółw łąka đường straße").text == "zolw laka duong strasse"


def test_a_long_message_is_asked_about_stretch_by_stretch():
    calm = "we walked along the river and had tea afterwards. " * 400
    text = canonical(calm + "ya no quiero vivir. " + calm).text
    read = {(lexicon.language, reading.text.count(" ") > 0) for lexicon, reading in shipped_languages().read(text)}
    words = sum(len(reading.words) for _, reading in shipped_languages().read(text))
    assert read == {("es", True)}
    assert words < len(text.split()) / 2


def test_a_crisis_deep_in_a_long_foreign_text_is_found():
    calm = "сегодня мы гуляли у реки и пили чай на даче у бабушки. " * 600
    assert FILTER.screen(calm + "я не хочу жить. " + calm).crisis


def test_a_long_text_of_mixed_scripts_costs_no_more_than_reading_it_in_every_language():
    chance = random.Random(7)
    english = [*"abcdefghij", "walked", "along", "river", "had", "tea", "with", "them", "after", "work", "rained"]
    mixed = " ".join(f"{texts[0]} {CALM[code][0]}" for code, texts in CRISES.items()).split()

    def cost(words: list[str]) -> float:
        text = " ".join(chance.choices(words, k=20_000))
        started = time.process_time()
        FILTER.screen(text)
        return time.process_time() - started

    cost(mixed)  # loads every lexicon
    # Every stretch has all twenty languages in it: as bad as it can get is once more for each, and the matches.
    assert cost(mixed) < 3 * len(CODES) * cost(english)


def test_a_broken_table_of_languages_is_refused_with_its_name(tmp_path: Path):
    table = tmp_path / "languages.yaml"
    table.write_text("es: {words: [1]}", encoding="utf-8")
    with pytest.raises(LexiconError, match=r"languages\.yaml"):
        load_languages(table)


def test_a_language_may_leave_its_scopes_empty(tmp_path: Path):
    path = tmp_path / "xx.yaml"
    path.write_text(
        "language: xx\nscopes: {negation: nu}\nrules:\n  suicide:\n"
        "    - {id: xx-a, level: elevated, patterns: vreau sa mor}\n",
        encoding="utf-8",
    )
    lexicon = Lexicon([path])
    crisis_filter = CrisisFilter(lexicon, languages=Languages({}), encoder=None)
    assert crisis_filter.screen("vreau să mor").crisis
    assert not crisis_filter.screen("nu vreau să mor").crisis


def test_a_gap_never_swallows_a_negator_of_the_language(tmp_path: Path):
    path = tmp_path / "xx.yaml"
    path.write_text(
        "language: xx\nnegators: nu\nrules:\n  suicide:\n    - {id: xx-a, level: elevated, patterns: eu ..2 mor}\n",
        encoding="utf-8",
    )
    crisis_filter = CrisisFilter(Lexicon([path]), languages=Languages({}), encoder=None)
    assert crisis_filter.screen("eu vreau mor").crisis
    assert not crisis_filter.screen("eu nu mor").crisis
