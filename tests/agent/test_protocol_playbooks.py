"""A playbook that does not make sense is refused when it is read, with its file and line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from warmline.agent.protocol.files import PlaybookError
from warmline.agent.protocol.playbook import DATA, VARIANTS, Condition, check_lines, load_playbooks
from warmline.guards.hotlines import Directory

MOVE = """
  - id: {id}
    kind: ask
    asks: {asks}
    when: [{when}]
    after: [{after}]
    texts:
      - How is the one?
      - How is the two?
      - How is the three?
      - How is the four?
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(DATA, tmp_path / "protocol")
    return tmp_path / "protocol"


def add(folder: Path, *moves: str) -> None:
    with (folder / "playbooks" / "suicide.yaml").open("a", encoding="utf-8") as file:
        file.write("".join(moves))


def move(id: str, asks: str = "before", when: str = "self", after: str = "") -> str:
    return MOVE.format(id=id, asks=asks, when=when, after=after)


def line_of(folder: Path, text: str) -> int:
    lines = (folder / "playbooks" / "suicide.yaml").read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


class TestTheShippedPlaybooks:
    def test_every_move_has_four_wordings(self) -> None:
        moves = load_playbooks().by_id.values()
        assert len(moves) > 200
        assert all(len(move.texts) >= VARIANTS for move in moves)

    def test_every_playbook_has_a_line_for_every_country(self) -> None:
        check_lines(load_playbooks(), Directory.load())

    def test_a_language_without_copy_of_its_own_is_english(self) -> None:
        assert load_playbooks("tlh").language == "en"

    def test_every_question_about_danger_is_known_by_its_topic(self) -> None:
        playbooks = load_playbooks()
        assert {"thoughts", "plan", "intent", "means", "time"} <= {m.asks for m in playbooks.by_id.values()}
        assert playbooks.topics["thoughts"].denial
        assert playbooks.topics["safe"].danger == "no"


class TestAPlaybookThatMakesNoSense:
    def refused(self, folder: Path, told: str) -> None:
        with pytest.raises(PlaybookError, match=told):
            load_playbooks(folder=folder)

    def test_a_sound_move_more_is_no_problem(self, folder: Path) -> None:
        add(folder, move("fine"))
        assert "suicide/fine" in load_playbooks(folder=folder).by_id

    def test_an_unknown_topic(self, folder: Path) -> None:
        add(folder, move("odd", asks="weather"))
        self.refused(folder, rf"suicide\.yaml:{line_of(folder, 'id: odd')}: suicide/odd: .*unknown topic 'weather'")

    def test_a_fact_that_nothing_makes(self, folder: Path) -> None:
        add(folder, move("odd", when="heard:thunder"))
        self.refused(folder, rf"suicide\.yaml:{line_of(folder, 'id: odd')}: .*nothing ever makes 'heard:thunder'")

    @pytest.mark.parametrize(
        "when",
        ["self, other", "level:elevated, level:imminent", "thoughts:yes, thoughts:no", "flag:minor, not flag:minor"],
    )
    def test_preconditions_that_exclude_each_other(self, folder: Path, when: str) -> None:
        add(folder, move("odd", when=when))
        self.refused(folder, rf"suicide\.yaml:{line_of(folder, 'id: odd')}: suicide/odd: can never be reached")

    def test_a_move_that_waits_for_a_topic_that_nobody_asks_about(self, folder: Path) -> None:
        add(folder, move("odd", when="asked:device"))
        self.refused(folder, r"suicide/odd: can never be reached")

    def test_moves_that_wait_for_each_other(self, folder: Path) -> None:
        add(folder, move("hen", after="egg"), move("egg", after="hen"))
        self.refused(folder, r"suicide\.yaml:\d+: goes in a circle without progress: .*hen after suicide/egg")

    def test_a_move_that_waits_for_one_that_is_not_there(self, folder: Path) -> None:
        add(folder, move("odd", after="gone"))
        self.refused(folder, r"suicide/odd: after: there is no move 'suicide/gone'")

    def test_too_few_wordings(self, folder: Path) -> None:
        add(folder, move("odd").replace("      - How is the four?\n", ""))
        self.refused(folder, rf"suicide\.yaml:{line_of(folder, 'How is the one') - 1}: odd: has 3 texts; at least 4")

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("How is the four", "asks 0 questions; one is wanted"),
            ("How is it? And you?", "asks 2 questions; one is wanted"),
            ("How are you!?", "an exclamation mark"),
            ("How is {name}?", r"unknown placeholders \['name'\]"),
            ("How is {reflect}?", "without the precondition knows:reflect"),
            ("How is the one?", "says the same thing twice"),
        ],
    )
    def test_a_wording_that_breaks_a_rule(self, folder: Path, text: str, told: str) -> None:
        add(folder, move("odd").replace("How is the four?", f"'{text}'"))
        self.refused(folder, rf"suicide\.yaml:\d+: odd: .*{told}")

    def test_a_question_where_none_is_announced(self, folder: Path) -> None:
        add(folder, move("odd").replace("    asks: before\n", "").replace("kind: ask", "kind: inform"))
        self.refused(folder, "asks a question, but the move has no `asks`")

    def test_an_id_that_is_used_twice(self, folder: Path) -> None:
        add(folder, move("ask_plan"))
        self.refused(folder, r"suicide\.yaml:\d+: ask_plan: this id is already used")

    def test_an_unknown_key(self, folder: Path) -> None:
        add(folder, move("odd").replace("kind: ask", "kin: ask"))
        self.refused(folder, r"suicide\.yaml:\d+: moves\.\d+\.kin")

    def test_a_line_topic_that_no_country_without_lines_has(self, folder: Path) -> None:
        path = folder / "playbooks" / "suicide.yaml"
        path.write_text(path.read_text("utf-8").replace("lines: [suicide, general]", "lines: [drugs]"), "utf-8")
        with pytest.raises(PlaybookError, match=r"suicide\.yaml: lines: none of drugs has an international entry"):
            check_lines(load_playbooks(folder=folder), Directory.load())

    def test_an_unknown_line_topic(self, folder: Path) -> None:
        path = folder / "playbooks" / "suicide.yaml"
        path.write_text(path.read_text("utf-8").replace("lines: [suicide, general]", "lines: [plumbers]"), "utf-8")
        self.refused(folder, r"suicide\.yaml:\d+: lines\.0")

    def test_a_missing_playbook(self, folder: Path) -> None:
        (folder / "playbooks" / "abuse.yaml").unlink()
        self.refused(folder, "no playbook for abuse")

    def test_broken_yaml(self, folder: Path) -> None:
        add(folder, "  - [unclosed\n")
        self.refused(folder, r"(?s)suicide\.yaml: is not valid YAML: .*line")

    def test_a_pattern_that_is_no_pattern(self, folder: Path) -> None:
        path = folder / "answers" / "en.yaml"
        path.write_text(path.read_text("utf-8").replace("^(?:no yeah|no yes)", "^(?:no yeah|no yes"), "utf-8")
        self.refused(folder, r"en\.yaml:\d+: answers\.yes: ")


class TestAnotherLanguage:
    def translated(self, folder: Path) -> Path:
        copy = folder / "copy" / "xx"
        copy.mkdir(parents=True)
        shutil.copy(folder / "answers" / "en.yaml", folder / "answers" / "xx.yaml")
        for name, book in load_playbooks(folder=folder).books.items():
            texts = {move.id.partition("/")[2]: [f"xx {text}" for text in move.texts] for move in book.moves}
            (copy / f"{name}.yaml").write_text(yaml.safe_dump(texts, allow_unicode=True), "utf-8")
        return copy

    def test_its_texts_take_the_place_of_the_english_ones(self, folder: Path) -> None:
        self.translated(folder)
        playbooks = load_playbooks("xx", folder)
        assert playbooks.language == "xx"
        assert all(text.startswith("xx ") for move in playbooks.by_id.values() for text in move.texts)

    def test_a_move_without_its_texts_is_refused(self, folder: Path) -> None:
        path = self.translated(folder) / "suicide.yaml"
        path.write_text(path.read_text("utf-8").replace("ask_plan:", "ask_plot:"), "utf-8")
        with pytest.raises(PlaybookError, match=r"copy/xx/suicide\.yaml:\d+: ask_plan: has 0 texts"):
            load_playbooks("xx", folder)


@pytest.mark.parametrize(
    ("text", "facts", "holds"),
    [
        ("a | b", {"b"}, True),
        ("a | b", {"c"}, False),
        ("not a | b", {"c"}, True),
        ("not a | b", {"a"}, False),
    ],
)
def test_a_condition_reads_as_it_is_written(text: str, facts: set[str], holds: bool) -> None:
    assert Condition.parse(text).holds(facts) is holds
