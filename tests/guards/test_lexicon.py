"""The lexicon as data: what loads, what is refused and how it is told."""

from pathlib import Path

import pytest

from warmline.guards.filter import CrisisFilter
from warmline.guards.lexicon import SHIPPED, Lexicon, LexiconError, load_lexicon
from warmline.guards.pattern import PatternError, expression, parse, phrase
from warmline.guards.types import Category, RiskLevel


def site(tmp_path: Path, text: str) -> tuple[Path, ...]:
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return (SHIPPED / "en.yaml", path)


RULE = """
rules:
  violence:
    - id: local-word
      level: elevated
      patterns: |
        {pattern}
"""


def test_a_site_lexicon_adds_to_the_shipped_one(tmp_path: Path):
    filter_ = CrisisFilter(Lexicon(site(tmp_path, RULE.format(pattern="(gonna|going to) zork <other>"))), encoder=None)
    verdict = filter_.screen("im gonna zork my brother")
    assert verdict.categories == (Category.VIOLENCE,)
    assert verdict.evidence[0].source == "lexicon:violence/local-word"
    assert filter_.screen("i want to die").crisis


def test_the_cached_loader_takes_site_lexicons(tmp_path: Path):
    extra = site(tmp_path, RULE.format(pattern="zork <other>"))[1:]
    assert CrisisFilter(load_lexicon(extra=extra), encoder=None).screen("zork my brother").level is RiskLevel.ELEVATED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (RULE.format(pattern="(open"), "not closed"),
        (RULE.format(pattern="a | b"), "without an opening"),
        (RULE.format(pattern="kill <nobody_knows>"), "no class <nobody_knows>"),
        (RULE.format(pattern="really bad"), "filler"),
        (RULE.format(pattern="(die|)"), "empty choice"),
        (RULE.format(pattern="..3 die"), "gap"),
        (RULE.format(pattern="die?"), "nothing in it must be there"),
        (RULE.format(pattern="# only a comment"), "no pattern"),
        (RULE.format(pattern="zork").replace("elevated", "severe"), "imminent"),
        (RULE.format(pattern="zork").replace("violence", "sadness"), "violence"),
        (RULE.format(pattern="zork").replace("level:", "levle:"), "levle"),
        (RULE.format(pattern="zork") + "    - id: local-word\n      level: concern\n      patterns: zork\n", "twice"),
        ("combinations:\n  - {id: x, all: [wish, nonsense], level: imminent}\n", "nonsense"),
    ],
)
def test_a_broken_file_is_refused_with_what_is_wrong(tmp_path: Path, text: str, said: str):
    with pytest.raises(LexiconError, match=said):
        Lexicon(site(tmp_path, text))


def test_an_error_names_file_line_and_rule(tmp_path: Path):
    with pytest.raises(LexiconError) as told:
        Lexicon(site(tmp_path, RULE.format(pattern="(open")))
    assert "site.yaml, line 6" in str(told.value)
    assert "local-word" in str(told.value)


@pytest.mark.parametrize("text", ["rules: [", "\x00", "- a list"])
def test_what_is_no_lexicon_at_all_is_refused(tmp_path: Path, text: str):
    with pytest.raises(LexiconError, match=r"site\.yaml"):
        Lexicon(site(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(LexiconError, match=r"nowhere\.yaml"):
        Lexicon((tmp_path / "nowhere.yaml",))


def _words(text: str):
    return phrase(text, lambda word: word)


@pytest.mark.parametrize(
    "source", ["kill myself", "(end|finish) it", "a ..3 b", "a ~9 b", "^ die $", "all? my (old|new)? pills", "su*"]
)
def test_patterns_repeat_only_within_bounds(source: str):
    assert not any(unbounded in expression(parse(source, {}, _words)) for unbounded in (")*", ")+", ",}"))


def test_an_unreadable_sign_is_told():
    with pytest.raises(PatternError, match="cannot read"):
        parse("kill <", {}, _words)


def test_every_shipped_pattern_compiles():
    lexicon = load_lexicon()
    assert lexicon.compile() > 500


def test_the_lexicon_covers_all_eight_categories():
    assert load_lexicon().categories == frozenset(Category)
