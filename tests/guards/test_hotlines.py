"""The directory: every line is well formed and honest, the best fit comes first, and only real contacts are known."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from warmline.guards.hotlines import (
    Audience,
    Confidence,
    Contact,
    Directory,
    DirectoryError,
    Hotline,
    LineTopic,
    Method,
    country_in,
    country_names,
    find_country,
)
from warmline.guards.types import Category, RiskLevel

DIRECTORY = Directory.load()
NAMED = ("US", "CA", "GB", "IE", "AU", "NZ", "IN", "DE", "FR", "ES")
HERE = "country: GB\ncalling_code: '44'\nlines:\n"
ENTRY = """  - id: gb-test
    name: Test line
    topics: [general]
    contacts: [{method: call, value: "0800 000 000"}]
    languages: [en]
    source: https://example.org
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "ours.yaml"
    path.write_text(text, "utf-8")
    return path


def line(id: str, **fields: Any) -> Hotline:
    given: dict[str, Any] = {
        "id": id,
        "country": "FJ",
        "name": "A line",
        "topics": (LineTopic.SUICIDE,),
        "contacts": (Contact(method=Method.CALL, value="123 456"),),
        "languages": ("en",),
        "source": "https://example.org",
    }
    return Hotline(**{**given, **fields})


class TestShippedData:
    def test_it_covers_many_countries(self) -> None:
        assert len(DIRECTORY.countries()) >= 60

    @pytest.mark.parametrize("country", DIRECTORY.countries())
    def test_each_has_a_suicide_or_general_line_and_an_emergency_number(self, country: str) -> None:
        topics = {topic for line in DIRECTORY.all_lines(country) for topic in line.topics}
        assert topics & {LineTopic.SUICIDE, LineTopic.GENERAL}
        assert DIRECTORY.emergency(country)

    @pytest.mark.parametrize("country", NAMED)
    @pytest.mark.parametrize(
        "topic", [LineTopic.ABUSE, LineTopic.CHILD, LineTopic.EATING_DISORDER, LineTopic.DRUGS, LineTopic.EMERGENCY]
    )
    def test_ten_countries_have_special_lines(self, country: str, topic: LineTopic) -> None:
        assert any(topic in line.topics for line in DIRECTORY.all_lines(country))

    def test_only_a_named_source_and_day_makes_a_line_checked(self) -> None:
        assert {line.verified for line in DIRECTORY if line.checked} == {date(2026, 6, 2)}
        assert all(line.verified is None for line in DIRECTORY if not line.checked)

    def test_ids_begin_with_their_country(self) -> None:
        assert [line.id for line in DIRECTORY if not line.id.startswith(f"{line.country.lower()}-")] == []

    def test_every_line_survives_the_way_through_json(self) -> None:
        assert [Hotline.model_validate_json(line.model_dump_json()) for line in DIRECTORY] == list(DIRECTORY)

    @pytest.mark.parametrize(
        ("country", "id", "value"),
        [
            ("US", "us-988", "988"),
            ("GB", "gb-samaritans", "116 123"),
            ("IE", "ie-samaritans", "116 123"),
            ("CA", "ca-988", "988"),
            ("AU", "au-lifeline", "13 11 14"),
            ("NZ", "nz-1737", "1737"),
            ("IN", "in-tele-manas", "14416"),
            ("DE", "de-telefonseelsorge", "0800 111 0 111"),
            ("FR", "fr-3114", "3114"),
            ("ES", "es-024", "024"),
        ],
    )
    def test_the_first_line_for_suicide_is_the_national_one(self, country: str, id: str, value: str) -> None:
        best = DIRECTORY.lines(country, [Category.SUICIDE])[0]
        assert (best.id, best.number) == (id, value)

    @pytest.mark.parametrize(
        ("country", "number"),
        [("US", "911"), ("GB", "999"), ("AU", "000"), ("NZ", "111"), ("DE", "112"), ("JP", "119"), ("BR", "192")],
    )
    def test_the_emergency_number_is_the_ambulance(self, country: str, number: str) -> None:
        assert DIRECTORY.emergency(country, [Category.SUICIDE]) == number

    @pytest.mark.parametrize(("country", "number"), [("DE", "110"), ("JP", "110"), ("BR", "190"), ("US", "911")])
    def test_violence_gets_the_police_where_they_have_their_own_number(self, country: str, number: str) -> None:
        assert DIRECTORY.emergency(country, [Category.VIOLENCE]) == number

    def test_a_country_without_lines_may_still_have_its_emergency_number(self) -> None:
        assert "VN" not in DIRECTORY.countries()
        assert DIRECTORY.emergency("VN") == "115"
        assert DIRECTORY.lines("VN")[0].country == "ZZ"
        assert [line.id for line in DIRECTORY.all_lines("VN")][:3] == [
            "vn-emergency",
            "vn-police",
            "zz-find-a-helpline",
        ]

    def test_an_unknown_country_has_no_emergency_number(self) -> None:
        assert DIRECTORY.emergency(None) is None

    def test_the_country_list_is_all_of_iso_3166(self) -> None:
        assert len(country_names()) == 249 + 2  # and Kosovo, and everywhere
        assert country_names()["NO"] == "Norway"


class TestLines:
    @pytest.mark.parametrize("country", [*NAMED, "JP", "BR"])
    @pytest.mark.parametrize("category", list(Category))
    def test_a_supported_country_gets_its_own_lines(self, country: str, category: Category) -> None:
        lines = DIRECTORY.lines(country, [category])
        assert lines[0].country == country
        assert 1 <= len(lines) <= 4

    @pytest.mark.parametrize("country", [None, "", "TV", "XX", "nonsense"])
    def test_an_unknown_country_gets_the_international_ones(self, country: str | None) -> None:
        assert DIRECTORY.lines(country, [Category.SUICIDE])[0].id == "zz-find-a-helpline"

    def test_small_letters_and_uk_are_understood(self) -> None:
        assert DIRECTORY.lines("uk")[0].id == DIRECTORY.lines("GB")[0].id == "gb-samaritans"

    @pytest.mark.parametrize(
        ("category", "id"),
        [
            (Category.ABUSE, "gb-domestic-abuse"),
            (Category.NEGLECT, "gb-childline"),
            (Category.EATING_DISORDER, "gb-beat"),
            (Category.SUBSTANCE_MISUSE, "gb-frank"),
            (Category.VIOLENCE, "gb-respect"),
            (Category.PSYCHOSIS, "gb-nhs-111"),
        ],
    )
    def test_the_line_for_the_trouble_comes_first(self, category: Category, id: str) -> None:
        assert DIRECTORY.lines("GB", [category])[0].id == id

    @pytest.mark.parametrize("category", list(Category))
    def test_a_suicide_or_general_line_is_always_among_them(self, category: Category) -> None:
        topics = {topic for line in DIRECTORY.lines("GB", [category]) for topic in line.topics}
        assert topics & {LineTopic.SUICIDE, LineTopic.GENERAL}

    def test_several_troubles_get_one_line_each_before_any_gets_two(self) -> None:
        ids = [line.id for line in DIRECTORY.lines("US", [Category.SUICIDE, Category.ABUSE])]
        assert ids[:2] == ["us-988", "us-domestic-violence"]

    def test_at_imminent_a_line_that_always_answers_goes_first(self) -> None:
        calm = DIRECTORY.lines("GB", [Category.EATING_DISORDER], RiskLevel.ELEVATED)
        urgent = DIRECTORY.lines("GB", [Category.EATING_DISORDER], RiskLevel.IMMINENT)
        assert calm[0].id == "gb-beat"
        assert urgent[0].always_open

    @pytest.mark.parametrize("country", ["US", "GB", "IE", "AU", "NZ", "CA", "DE", "FR"])
    def test_somebody_who_cannot_speak_aloud_finds_a_line_to_write_to(self, country: str) -> None:
        assert any(line.written for line in DIRECTORY.lines(country, [Category.SUICIDE]))

    def test_a_line_for_everybody_goes_before_one_for_some(self) -> None:
        directory = Directory([line("fj-a", audience=(Audience.VETERANS,)), line("fj-b")])
        assert [found.id for found in directory.lines("FJ", [Category.SUICIDE])] == ["fj-b", "fj-a"]

    def test_emergency_numbers_stand_apart(self) -> None:
        shown = [line for category in Category for line in DIRECTORY.lines("DE", [category], limit=20)]
        assert not any(LineTopic.EMERGENCY in line.topics for line in shown)

    def test_the_limit_holds(self) -> None:
        assert len(DIRECTORY.lines("GB", list(Category), limit=3)) == 3

    def test_no_line_comes_twice(self) -> None:
        ids = [line.id for line in DIRECTORY.lines("GB", list(Category), limit=30)]
        assert len(ids) == len(set(ids))

    def test_a_single_line_has_the_international_entry_behind_it(self) -> None:
        assert [line.id for line in DIRECTORY.lines("IS", [Category.SUICIDE])] == ["is-1717", "zz-find-a-helpline"]

    def test_a_line_made_for_the_trouble_goes_before_one_that_also_takes_it(self) -> None:
        also = line("fj-a", topics=(LineTopic.CHILD, LineTopic.ABUSE))
        made = line("fj-b", topics=(LineTopic.ABUSE,))
        assert Directory([also, made]).lines("FJ", [Category.ABUSE])[0].id == "fj-b"

    def test_checked_goes_first_among_equals(self) -> None:
        checked = line("fj-b", verified=date(2026, 1, 1), confidence=Confidence.CHECKED)
        assert Directory([line("fj-a"), checked]).lines("FJ", [Category.SUICIDE])[0].id == "fj-b"

    def test_the_order_of_the_file_decides_the_rest(self) -> None:
        assert Directory([line("fj-b"), line("fj-a")]).lines("FJ", [Category.SUICIDE])[0].id == "fj-b"


class TestKnownContacts:
    @pytest.mark.parametrize(
        "text",
        [
            "988",
            "call 988",
            "9-8-8",
            "116 123",
            "116123",
            "1-800-799-7233",
            "(800) 799-7233",
            "+1 800 799 7233",
            "1-800-799-SAFE",
            "1800RESPECT",
            "0800 1110111",
            "+49 800 111 0 111",
            "0049 800 1110111",
            "+44 808 2000 247",
            "+44 (0)808 2000 247",
            "+7 800 333-44-34",
            "+91 91529 87821",
            "091529 87821",
            "Text HOME to 741741",
            "text 'home' to 741-741",
            "741741",
            "SHOUT to 85258",
            "119 ext 8",
            "911",
            "999",
            "112.",
            "jo@samaritans.org",
            "mailto:jo@samaritans.org",
            "findahelpline.com",
            "https://findahelpline.com/countries/fr",
            "www.988lifeline.org/chat",
            "https://cvv.org.br/chat/",
        ],
    )
    def test_it_knows(self, text: str) -> None:
        assert DIRECTORY.is_known_contact(text)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "hello",
            "1-800-555-0199",
            "989",
            "+1 988",
            "+44 116 123",
            "116 124",
            "0800 111 0 112",
            "988 988",
            "call 988 or 555 0100",
            "Text HELLO to 741741",
            "HOME to 741742",
            "jo@samaritans.com",
            "findahelpline.com.evil.net",
            "evilfindahelpline.com",
            "samaritans-uk.org",
            "www.nhs.uk/some/other/page",
            "٩٨٩",
        ],
    )
    def test_it_does_not_know(self, text: str) -> None:
        assert not DIRECTORY.is_known_contact(text)

    def test_every_contact_of_the_directory_is_known(self) -> None:
        contacts = [contact.value for line in DIRECTORY for contact in line.contacts]
        assert [value for value in contacts if not DIRECTORY.is_known_contact(value)] == []

    def test_what_a_line_says_of_itself_is_known(self) -> None:
        unknown = [line.contacts[0].say for line in DIRECTORY if line.contacts[0].keyword]
        assert unknown and all(DIRECTORY.is_known_contact(say) for say in unknown)

    def test_a_right_number_in_the_wrong_country_is_wrong(self) -> None:
        assert DIRECTORY.is_known_contact("988", "US")
        assert not DIRECTORY.is_known_contact("988", "GB")

    def test_the_international_sites_are_right_everywhere(self) -> None:
        assert DIRECTORY.is_known_contact("findahelpline.com", "GB")


class TestSaying:
    @pytest.mark.parametrize(
        ("id", "say"),
        [
            ("us-988", "call or text 988"),
            ("us-crisis-text-line", "text HOME to 741741"),
            ("gb-samaritans", "call 116 123"),
            ("zz-find-a-helpline", "go to findahelpline.com"),
        ],
    )
    def test_a_line_tells_in_few_words_how_to_use_it(self, id: str, say: str) -> None:
        line = DIRECTORY.get(id)
        assert line is not None
        assert line.say == say

    def test_rows_send_nobody_to_a_helpline_list_to_confirm_an_ambulance(self) -> None:
        line = DIRECTORY.get("gb-emergency")
        assert line is not None
        assert "findahelpline" not in " ".join(line.rows())

    def test_rows_tell_that_a_line_is_unchecked(self) -> None:
        line = DIRECTORY.get("gb-frank")
        assert line is not None
        assert line.rows()[-1].strip() == "please confirm at findahelpline.com"


class TestCountries:
    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("gb", "GB"),
            ("UK", "GB"),
            ("u.k.", "GB"),
            ("USA", "US"),
            ("united states", "US"),
            ("The Netherlands", "NL"),
            ("germ", "DE"),
            ("england", "GB"),
            ("unit", None),
            ("Atlantis", None),
            ("", None),
        ],
    )
    def test_what_a_person_types_finds_the_country(self, text: str, code: str | None) -> None:
        assert find_country(text) == code

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("I'm in Germany", "DE"),
            ("germany, near berlin", "DE"),
            ("the UK", "GB"),
            ("i live in the united states", "US"),
            ("US", "US"),
            ("from South Korea", "KR"),
            ("scotland", "GB"),
            ("usa", "US"),
            ("no", None),
            ("NO", None),
            ("me", None),
            ("it is", None),
            ("germ", None),
            ("please just help us in here", None),
            ("France or Spain, I move around", None),
            ("I don't want to say", None),
        ],
    )
    def test_an_answer_names_its_country(self, text: str, code: str | None) -> None:
        assert country_in(text) == code

    def test_a_code_that_is_none_is_refused(self) -> None:
        with pytest.raises(ValueError, match="'xq' is no country code"):
            DIRECTORY.country_code("xq")

    def test_no_country_stays_none(self) -> None:
        assert DIRECTORY.country_code(None) is None
        assert DIRECTORY.country_code(" ") is None

    def test_names_are_those_people_use(self) -> None:
        assert DIRECTORY.country_name("GB") == "United Kingdom"


class TestLoading:
    def test_an_extra_file_replaces_an_entry_by_its_id(self, tmp_path: Path) -> None:
        path = written(tmp_path, HERE + ENTRY.replace("gb-test", "gb-samaritans"))
        directory = Directory.load([path])
        replaced = directory.get("gb-samaritans")
        assert replaced is not None and replaced.name == "Test line"
        assert len(directory) == len(DIRECTORY)

    def test_an_extra_file_may_bring_a_new_country(self, tmp_path: Path) -> None:
        path = written(tmp_path, HERE.replace("GB", "FJ") + ENTRY.replace("gb-test", "fj-test"))
        assert Directory.load([path]).lines("FJ")[0].id == "fj-test"

    def test_norway_is_no_boolean_and_a_leading_zero_stays(self, tmp_path: Path) -> None:
        text = "country: NO\nlines:\n" + ENTRY.replace('"0800 000 000"', "0800")
        line = Directory.load([written(tmp_path, text)]).get("gb-test")
        assert line is not None
        assert (line.country, line.number) == ("NO", "0800")

    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            ("0800 000 000", "0800 CALL ME", "gb-test: contacts.0: .*not a number that a person can dial"),
            ("0800 000 000", "+44 999", "gb-test: .*short code with a country prefix"),
            ("    source: https://example.org\n", "", "gb-test: source: Field required"),
            ("https://example.org", "http://example.org", "gb-test: source: .*not an https address"),
            ("[general]", "[generel]", "gb-test: topics.0: "),
            ("id: gb-test", "id: GB test", "GB test: id: "),
            ("country: GB", "country: UK", "country 'UK' is no ISO 3166-1"),
            ("languages: [en]", "languages: []", "gb-test: languages: "),
            ("languages: [en]", "langages: [en]", "gb-test: .*langages"),
            ("languages: [en]\n", "languages: [en]\n    confidence: checked\n", "gb-test: .*needs the date"),
            ("languages: [en]\n", "languages: [en]\n    verified: 2026-01-01\n", "gb-test: .*no verified date"),
            (
                "languages: [en]\n",
                "languages: [en]\n    confidence: checked\n    verified: 2026-07-02\n",
                "gb-test: verified 2026-07-02 lies in the future",
            ),
            ("lines:\n", "lines:\n" + ENTRY, "gb-test: this id is already used"),
            ("method: call", "method: email", "gb-test: .*not an e-mail address"),
            ("method: call", "method: web", "gb-test: .*not an https address"),
            ("  - id", "  - : [id", "not valid YAML"),
        ],
    )
    def test_an_error_names_the_file_and_the_entry(self, tmp_path: Path, old: str, new: str, told: str) -> None:
        path = written(tmp_path, (HERE + ENTRY).replace(old, new, 1))
        with pytest.raises(DirectoryError, match=rf"(?s){re.escape(str(path))}: .*{told}"):
            Directory.load([path], today=date(2026, 7, 1))

    def test_a_missing_file_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(DirectoryError, match="cannot be read"):
            Directory.load([tmp_path / "nowhere.yaml"])

    def test_a_line_without_its_audience_is_for_everybody(self, tmp_path: Path) -> None:
        line = Directory.load([written(tmp_path, HERE + ENTRY)]).get("gb-test")
        assert line is not None and line.audience == (Audience.ALL,)
