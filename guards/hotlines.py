"""The hotline directory: which lines a person in a country can reach, for which trouble.

It reads the data files, orders lines by fit, and knows which contacts are real. It never dials and never guesses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, field_validator, model_validator

from .types import Category, Frozen, RiskLevel

DATA = Path(__file__).parent / "data"
INTERNATIONAL = "ZZ"
"""Country code of the entries that help in any country (a user-assigned code of ISO 3166-1)."""
ROUND_THE_CLOCK = "24/7"


class DirectoryError(ValueError):
    """A hotline file cannot be used. The message names the file, the entry and what is wrong."""


class LineTopic(StrEnum):
    """What a line is for."""

    SUICIDE = "suicide"
    GENERAL = "general"
    """Any distress: listening and crisis lines."""
    SELF_HARM = "self_harm"
    PSYCHOSIS = "psychosis"
    """Mental health services that answer at once."""
    ABUSE = "abuse"
    """Domestic and sexual violence, and other abuse of adults."""
    VIOLENCE = "violence"
    """Help to not hurt somebody; on an emergency entry, the police."""
    CHILD = "child"
    ELDER = "elder"
    EATING_DISORDER = "eating_disorder"
    DRUGS = "drugs"
    """Alcohol and other drugs."""
    LGBTQ = "lgbtq"
    VETERANS = "veterans"
    EMERGENCY = "emergency"
    """Ambulance, police, fire. Kept apart from the lines: see `Directory.emergency`."""


class Method(StrEnum):
    """How a line is reached."""

    CALL = "call"
    TEXT = "text"
    WHATSAPP = "whatsapp"
    CHAT = "chat"
    WEB = "web"
    EMAIL = "email"


WRITTEN = frozenset({Method.TEXT, Method.WHATSAPP, Method.CHAT, Method.EMAIL})
"""Methods for somebody who cannot or will not speak aloud."""
_NUMBERS = frozenset({Method.CALL, Method.TEXT, Method.WHATSAPP})
_URLS = frozenset({Method.CHAT, Method.WEB})


class Audience(StrEnum):
    """Whom a line answers."""

    ALL = "all"
    CHILDREN = "children"
    """Children and young people."""
    WOMEN = "women"
    MEN = "men"
    OLDER = "older"
    LGBTQ = "lgbtq"
    VETERANS = "veterans"
    INDIGENOUS = "indigenous"
    PARENTS = "parents"
    """Parents and other adults who worry about somebody."""


class Confidence(StrEnum):
    """How sure the directory is of an entry."""

    CHECKED = "checked"
    """Somebody compared it with the line's own site on the day in ``verified``."""
    UNCHECKED = "unchecked"
    """Believed right and stable; shown with the hint to confirm it at findahelpline.com."""


# A person must be able to type it: digits, and what phone keypads and printed numbers carry. No "+" in front of
# short codes is checked below, because +1 988 reaches nobody.
_DIALABLE = re.compile(r"\+?[0-9*#][0-9 ()*#./-]*(?: ext\.? ?[0-9]+)?")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
_URL = re.compile(r"https://[\w-]+(\.[\w-]+)+(/[^\s<>\"]*)?")


def _none(value: Any) -> Any:
    return None if value in ("", "null", "~") else value


class Contact(Frozen):
    """One way to reach a line."""

    method: Method
    value: str
    """Exactly what a person in the country dials, texts or types: ``988``, ``116 123``, ``https://…``."""
    keyword: str | None = None
    """The word to send first, for text lines that want one."""
    hours: Annotated[str | None, BeforeValidator(_none)] = None
    """When it differs from the line's own hours."""

    @model_validator(mode="after")
    def _reachable(self) -> Contact:
        if self.method in _NUMBERS:
            if not _DIALABLE.fullmatch(self.value):
                raise ValueError(f"{self.value!r} is not a number that a person can dial")
            if self.value.startswith("+") and len(_digits(self.value)) < 9:
                raise ValueError(f"{self.value!r} is a short code with a country prefix; write it as dialled there")
        elif self.method is Method.EMAIL:
            if not _EMAIL.fullmatch(self.value):
                raise ValueError(f"{self.value!r} is not an e-mail address")
        elif not _URL.fullmatch(self.value):
            raise ValueError(f"{self.value!r} is not an https address")
        if self.keyword is not None and (self.method not in _NUMBERS or not self.keyword.isalnum()):
            raise ValueError("a keyword is one word and goes with a number to text")
        return self

    @property
    def say(self) -> str:
        """How to use it, in a few words: ``call 116 123``, ``text HOME to 741741``, ``go to findahelpline.com``."""
        if self.keyword:
            return f"{_VERBS[self.method]} {self.keyword} to {self.value}"
        return f"{_VERBS[self.method]} {self.value.removeprefix('https://').removeprefix('www.').rstrip('/')}"


_VERBS = {
    Method.CALL: "call",
    Method.TEXT: "text",
    Method.WHATSAPP: "write on WhatsApp to",
    Method.CHAT: "chat at",
    Method.WEB: "go to",
    Method.EMAIL: "write to",
}


class Hotline(Frozen):
    """One line that a person can reach. Field by field what the data files hold."""

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    country: str = Field(pattern=r"^[A-Z]{2}$")
    """ISO 3166-1 alpha-2, or ``ZZ`` for everywhere."""
    name: str = Field(min_length=2)
    local_name: Annotated[str | None, BeforeValidator(_none)] = None
    topics: tuple[LineTopic, ...] = Field(min_length=1)
    """What it is for, the main one first."""
    contacts: tuple[Contact, ...] = Field(min_length=1)
    """The best way first."""
    languages: tuple[str, ...] = Field(min_length=1)
    """BCP 47 codes; for an international site, its main ones."""
    hours: Annotated[str | None, BeforeValidator(_none)] = None
    """``24/7``, plain words, or ``None`` when not known."""
    free: Annotated[bool | None, BeforeValidator(_none)] = None
    audience: tuple[Audience, ...] = (Audience.ALL,)
    website: str | None = None
    deaf_accessible: Annotated[str | None, BeforeValidator(_none)] = None
    """How a deaf or hard-of-hearing person reaches it, when known."""
    note: Annotated[str | None, BeforeValidator(_none)] = None
    """A short remark for the person, such as "ask for an interpreter"."""
    source: str
    """Where the facts come from."""
    verified: Annotated[date | None, BeforeValidator(_none)] = None
    """The day somebody last compared the entry with its source."""
    confidence: Confidence = Confidence.UNCHECKED

    @field_validator("website", "source")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and not _URL.fullmatch(value):
            raise ValueError(f"{value!r} is not an https address")
        return value

    @model_validator(mode="after")
    def _honest(self) -> Hotline:
        if self.confidence is Confidence.CHECKED and self.verified is None:
            raise ValueError("a checked entry needs the date it was verified")
        if self.confidence is Confidence.UNCHECKED and self.verified is not None:
            raise ValueError("an unchecked entry has no verified date")
        return self

    @property
    def checked(self) -> bool:
        """False when the person should be told to confirm it."""
        return self.confidence is Confidence.CHECKED

    @property
    def always_open(self) -> bool:
        """True when it answers at any hour, as far as is known."""
        return self.hours == ROUND_THE_CLOCK

    @property
    def written(self) -> bool:
        """True when it can be reached without speaking."""
        return any(contact.method in WRITTEN for contact in self.contacts)

    @property
    def say(self) -> str:
        """The best way to use it, in a few words: ``call or text 988``, ``text HOME to 741741``."""
        first = self.contacts[0]
        texted = any(c.method is Method.TEXT and c.value == first.value and not c.keyword for c in self.contacts)
        return f"call or text {first.value}" if first.method is Method.CALL and texted else first.say

    def rows(self) -> list[str]:
        """The entry as lines of plain text, the name first."""
        about = ", ".join(filter(None, (self.hours, "free" if self.free else "", self._for_whom())))
        rows = [f"{self.name} ({about})" if about else self.name]
        rows += [f"  {contact.say}{f' ({contact.hours})' if contact.hours else ''}" for contact in self.contacts]
        if self.note:
            rows.append(f"  {self.note}")
        if self.checked:
            rows.append(f"  checked {self.verified}")
        elif LineTopic.EMERGENCY not in self.topics:  # findahelpline.com lists no ambulances
            rows.append("  please confirm at findahelpline.com")
        return rows

    def _for_whom(self) -> str:
        return "" if Audience.ALL in self.audience else "for " + " and ".join(self.audience)

    @property
    def writes_first(self) -> bool:
        """True when `say` tells how to write, not only how to speak."""
        return self.contacts[0].method in WRITTEN or self.say.startswith("call or text")

    @property
    def number(self) -> str | None:
        """The first number to call, if there is one."""
        return next((contact.value for contact in self.contacts if contact.method is Method.CALL), None)


class _File(Frozen):
    """One data file: a country and its lines."""

    country: str
    calling_code: str = Field("", pattern=r"^[0-9]{0,4}$")
    """What stands after the + for this country."""
    trunk: str = Field("0", pattern=r"^[0-9]{0,2}$")
    """What the national number drops behind the calling code."""
    lines: tuple[dict[str, Any], ...]


_TOPICS: Mapping[Category, tuple[LineTopic, ...]] = MappingProxyType(
    {
        Category.SUICIDE: (LineTopic.SUICIDE, LineTopic.GENERAL),
        Category.SELF_HARM: (LineTopic.SELF_HARM, LineTopic.SUICIDE, LineTopic.GENERAL),
        Category.ABUSE: (LineTopic.ABUSE, LineTopic.CHILD, LineTopic.ELDER),
        Category.NEGLECT: (LineTopic.CHILD, LineTopic.ELDER, LineTopic.ABUSE),
        Category.EATING_DISORDER: (LineTopic.EATING_DISORDER,),
        Category.PSYCHOSIS: (LineTopic.PSYCHOSIS, LineTopic.GENERAL, LineTopic.SUICIDE),
        Category.SUBSTANCE_MISUSE: (LineTopic.DRUGS,),
        Category.VIOLENCE: (LineTopic.VIOLENCE, LineTopic.GENERAL),
    }
)
_ANY_CRISIS = (LineTopic.SUICIDE, LineTopic.GENERAL)
_FOR_SOME = (LineTopic.ABUSE, LineTopic.CHILD, LineTopic.ELDER)


class Directory:
    """All lines, validated. Build it with `Directory.load`; it never changes afterwards."""

    def __init__(self, lines: Iterable[Hotline], dialling: Mapping[str, tuple[str, str]] | None = None) -> None:
        """``dialling`` gives calling code and trunk prefix by country."""
        self._by_id: dict[str, Hotline] = {line.id: line for line in lines}
        self._by_country: dict[str, list[Hotline]] = {}
        for line in self._by_id.values():
            self._by_country.setdefault(line.country, []).append(line)
        self._known = _Known(self._by_id.values(), dialling or {})

    @classmethod
    def load(cls, extra: Sequence[Path] = (), *, today: date | None = None) -> Directory:
        """Read the shipped files, then ``extra``, whose entries replace shipped ones with the same id.

        ``today`` is the day that no ``verified`` date may lie after.

        Raises:
            DirectoryError: naming the file, the entry and what is wrong.
        """
        today = today or date.today()
        lines: dict[str, Hotline] = {}
        dialling: dict[str, tuple[str, str]] = {}
        shipped = sorted((DATA / "hotlines").glob("*.yaml"))
        for path in (*shipped, *extra):
            file, entries = _read(path, today)
            if file.calling_code:
                dialling[file.country] = (file.calling_code, file.trunk)
            for entry in entries:
                if entry.id in lines and path in shipped:
                    raise DirectoryError(f"{path}: {entry.id}: this id is already used")
                lines[entry.id] = entry
        return cls(lines.values(), dialling)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self):
        return iter(self._by_id.values())

    def get(self, id: str) -> Hotline | None:
        """The entry with this id."""
        return self._by_id.get(id)

    def lines(
        self,
        country: str | None,
        categories: Iterable[Category] = (),
        level: RiskLevel = RiskLevel.ELEVATED,
        limit: int = 4,
    ) -> tuple[Hotline, ...]:
        """The lines to offer, best first; never empty, never an emergency number (see `emergency`).

        The best line for each category comes first, in the order of ``categories``, then suicide and general
        lines. Among equals: lines for everybody, checked ones, always open ones. At IMMINENT a line that always
        answers goes before a better fitting one with opening hours. One way to write instead of speaking is
        kept among them where the country has one.
        """
        here = [x for x in self._by_country.get(_code(country) or "", ()) if LineTopic.EMERGENCY not in x.topics]
        everywhere = self._by_country.get(INTERNATIONAL, [])
        if not here:
            return tuple(everywhere[:limit])
        wanted = [_TOPICS[Category(category)] for category in categories]
        ranked = [_ranked(here, topics) for topics in (*wanted, _ANY_CRISIS)]
        best = [line for column in ranked for line in column[:1]]
        rest = [line for column in ranked for line in column[1:]]
        picks = list(dict.fromkeys((*best, *rest)))
        if level >= RiskLevel.IMMINENT:
            picks.sort(key=lambda line: not line.always_open)
        chosen = picks[:limit]
        if chosen and not any(line.written for line in chosen):
            chosen[-1:] = next(([line] for line in picks[limit:] if line.written), chosen[-1:])
        # One line can be engaged: with fewer than two, the international entry stands behind it.
        if len(chosen) < 2:
            chosen += everywhere[: max(0, min(limit, 2) - len(chosen))]
        return tuple(chosen)

    def emergency(self, country: str | None, categories: Iterable[Category] = ()) -> str | None:
        """The emergency number as dialled in ``country``, or ``None`` when it is not known.

        Where police and ambulance have numbers of their own, violence and abuse get the police.
        """
        entries = [x for x in self._by_country.get(_code(country) or "", ()) if LineTopic.EMERGENCY in x.topics]
        police = {Category.VIOLENCE, Category.ABUSE} & set(list(categories)[:1])
        entries.sort(key=lambda entry: (LineTopic.VIOLENCE in entry.topics) != bool(police))
        return next((entry.number for entry in entries if entry.number), None)

    def all_lines(self, country: str | None) -> tuple[Hotline, ...]:
        """Every entry of a country in the order of its file, emergency numbers too; without lines, also the
        international ones."""
        here = self._by_country.get(_code(country) or "", [])
        has_lines = any(LineTopic.EMERGENCY not in line.topics for line in here)
        return (*here, *([] if has_lines else self._by_country.get(INTERNATIONAL, [])))

    def countries(self, *, with_emergency: bool = False) -> tuple[str, ...]:
        """Codes of the countries with lines of their own, by code; with ``with_emergency`` also of those whose
        emergency number is all that is known."""
        return tuple(
            sorted(
                code
                for code, lines in self._by_country.items()
                if code != INTERNATIONAL
                and (with_emergency or any(LineTopic.EMERGENCY not in line.topics for line in lines))
            )
        )

    def country_name(self, code: str) -> str:
        """The English name of a country code; the code itself when there is no such country."""
        return country_names().get(_code(code) or "", code)

    def country_code(self, code: str | None) -> str | None:
        """``code`` in its ISO form (``uk`` gives ``GB``); ``None`` and an empty one stay ``None``.

        Raises:
            ValueError: there is no such country.
        """
        if code is None or not code.strip():
            return None
        found = _code(code)
        if found not in country_names() or found == INTERNATIONAL:
            raise ValueError(f"{code!r} is no country code; two letters are wanted (ISO 3166-1), such as US")
        return found

    def is_known_contact(self, text: str, country: str | None = None) -> bool:
        """Whether ``text`` is a contact of this directory: a number, a keyword with its short code, an e-mail, a site.

        Spacing, punctuation, the country prefix and words like "call" do not matter. With ``country``, only
        contacts of that country and the international ones count: a right number in the wrong country is wrong.
        """
        return self._known.has(text, _code(country))


@cache
def country_names() -> Mapping[str, str]:
    """English names of all ISO 3166-1 alpha-2 codes."""
    names: dict[str, str] = _yaml(DATA / "countries.yaml")
    return MappingProxyType(names)


def find_country(text: str) -> str | None:
    """The code for what a person typed: ``gb``, ``UK``, ``united kingdom``, ``USA``."""
    code = _code(text)
    if code in country_names():
        return code
    wanted = _plain(text)
    exact = [code for code, name in country_names().items() if _plain(name) == wanted]
    begins = [code for code, name in country_names().items() if len(wanted) > 3 and _plain(name).startswith(wanted)]
    return next(iter(exact), None) or (begins[0] if len(begins) == 1 else None)


def country_in(text: str) -> str | None:
    """The code of the one country that a sentence names: ``I'm in Germany``, ``the UK``; None for none or several.

    Only for the answer to a question about the country: Georgia, Jordan and Chad are also names of people.
    """
    # Two-letter codes are left out: "no" is an answer, and not Norway.
    if text.strip().casefold() in ("us", "usa", "uk", "uae"):
        return _code(text)
    found = {find_country(match[0]) for match in _country_names_pattern().finditer(text)}
    return next(iter(found)) if len(found) == 1 else None


@cache
def _country_names_pattern() -> re.Pattern[str]:
    # Names in any case; short forms only in capitals, so that "us" and "in" stay words.
    names = sorted(country_names().values(), key=len, reverse=True)
    return re.compile(rf"\b(?:(?i:{'|'.join(map(re.escape, names))}|england|scotland|wales)|USA?|UK|UAE)\b|\bU\.[SK]\.")


_ALIASES = {"UK": "GB", "EL": "GR", "USA": "US", "UAE": "AE", "ENGLAND": "GB", "SCOTLAND": "GB", "WALES": "GB"}


def _code(text: str | None) -> str | None:
    if text is None:
        return None
    code = text.strip().upper().replace(".", "")
    return _ALIASES.get(code, code)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]+", " ", name.casefold()).strip().removeprefix("the ")


def _ranked(lines: Iterable[Hotline], topics: Sequence[LineTopic]) -> list[Hotline]:
    fitting = [line for line in lines if any(topic in topics for topic in line.topics)]

    def order(line: Hotline) -> tuple[Any, ...]:
        fit = min(topics.index(topic) for topic in line.topics if topic in topics)
        topic = topics[fit]
        # Abuse, children and the old: there a line for some is the usual thing. Elsewhere one for everybody goes first.
        narrow = Audience.ALL not in line.audience and topic not in _FOR_SOME
        aside = topic is not line.topics[0] and topic not in _ANY_CRISIS
        silent = line.number is None and not line.written
        return (fit, narrow, aside, silent, not line.checked, not line.always_open)

    return sorted(fitting, key=order)  # stable: the order in the file decides the rest


def _yaml(path: Path) -> Any:
    try:
        # BaseLoader keeps every scalar a string: 0800 keeps its zero and the country NO is not a boolean.
        return yaml.load(path.read_text("utf-8"), Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except OSError as error:
        raise DirectoryError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DirectoryError(f"{path}: is not valid YAML: {error}") from None


_LINES: TypeAdapter[Hotline] = TypeAdapter(Hotline)


def _read(path: Path, today: date) -> tuple[_File, list[Hotline]]:
    try:
        file = _File.model_validate(_yaml(path))
    except ValidationError as error:
        raise DirectoryError(f"{path}: {_why(error)}") from None
    if file.country != INTERNATIONAL and file.country not in country_names():
        raise DirectoryError(f"{path}: country {file.country!r} is no ISO 3166-1 alpha-2 code; for example US")
    entries: list[Hotline] = []
    for number, raw in enumerate(file.lines, start=1):
        name = raw.get("id") or f"entry {number}"
        try:
            entry = _LINES.validate_python({"country": file.country, **raw})
        except ValidationError as error:
            raise DirectoryError(f"{path}: {name}: {_why(error)}") from None
        if entry.country != INTERNATIONAL and entry.country not in country_names():
            raise DirectoryError(f"{path}: {name}: country {entry.country!r} is no ISO 3166-1 alpha-2 code")
        if entry.verified and entry.verified > today:
            raise DirectoryError(f"{path}: {name}: verified {entry.verified} lies in the future")
        if any(entry.id == other.id for other in entries):
            raise DirectoryError(f"{path}: {name}: this id is already used")
        entries.append(entry)
    return file, entries


def _why(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    return "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}".removeprefix(": ") for p in problems)


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


_SITE = re.compile(r"(?:https?://)?((?:[\w-]+\.)+[a-z]{2,})(?::\d+)?(/[^\s]*)?", re.IGNORECASE)
_KEYWORD = re.compile(r"\W*(?:(?:text|sms|send|message)\s+)?\W*([^\W\d_]+)\W+to\W+(\+?[\d][\d\s-]*)\W*", re.IGNORECASE)
_LEAD = re.compile(r"^\W*(?:(?:please|call|dial|ring|phone|text|sms|whatsapp|tel|at|on|to|or)\b\W*)+", re.IGNORECASE)
_VANITY = re.compile(r"\+?\d[\d\s().-]*-?[A-Z]{3,}")
_KEYPAD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")


class _Known:
    """All contacts in comparable form, each with the countries it is right in."""

    def __init__(self, lines: Iterable[Hotline], dialling: Mapping[str, tuple[str, str]]) -> None:
        self._numbers: dict[str, set[str]] = {}
        self._keywords: dict[tuple[str, str], set[str]] = {}
        self._emails: dict[str, set[str]] = {}
        self._sites: dict[str, set[tuple[str, str]]] = {}
        for line in lines:
            if line.website:
                self._add_site(line.website, line.country)
            for contact in line.contacts:
                if contact.method is Method.EMAIL:
                    self._emails.setdefault(contact.value.lower(), set()).add(line.country)
                elif contact.method in _URLS:
                    self._add_site(contact.value, line.country)
                else:
                    for form in _forms(contact.value, dialling.get(line.country)):
                        self._numbers.setdefault(form, set()).add(line.country)
                        if contact.keyword:
                            key = (form, contact.keyword.upper())
                            self._keywords.setdefault(key, set()).add(line.country)

    def _add_site(self, url: str, country: str) -> None:
        # Every address was checked against _URL when it was read.
        host, _, path = url.removeprefix("https://").removeprefix("www.").partition("/")
        self._sites.setdefault(host.lower(), set()).add((f"/{path}".rstrip("/"), country))

    def has(self, text: str, country: str | None) -> bool:
        def right(countries: Iterable[str]) -> bool:
            return any(country is None or c in (country, INTERNATIONAL) for c in countries)

        text = text.strip().strip(".,;:!?()[]<>\"'“”‘’")
        if "@" in text:
            return right(self._emails.get(text.lower().removeprefix("mailto:"), ()))
        if site := _SITE.fullmatch(text):
            host = site[1].lower().removeprefix("www.")
            path = (site[2] or "").rstrip("/")
            return right(c for under, c in self._sites.get(host, ()) if not path or f"{path}/".startswith(f"{under}/"))
        if worded := _KEYWORD.fullmatch(text):
            return right(self._keywords.get((_international(worded[2]), worded[1].upper()), ()))
        text = _LEAD.sub("", text)
        if _VANITY.fullmatch(text):
            # 1800RESPECT spells one digit more than is dialled; phones drop the surplus.
            spelled = _digits(text.translate(_KEYPAD))
            return any(right(self._numbers.get(spelled[:n], ())) for n in range(9, len(spelled) + 1))
        if re.search(r"[^\W\d_]", re.sub(r"\bext\b", "", text)) or not re.search(r"\d", text):
            return False
        return right(self._numbers.get(_international(text), ()))


def _international(text: str) -> str:
    """Digits, with a leading ``+`` or ``00`` kept as ``+``."""
    text = text.strip()
    digits = _digits(text)
    if text.lstrip("( ").startswith("+"):
        return "+" + digits
    if digits.startswith("00") and len(digits) > 9:
        return "+" + digits[2:]
    return digits


def _forms(value: str, dialling: tuple[str, str] | None) -> set[str]:
    """Every way a known number is rightly written; a short code with a country prefix reaches nobody and is none."""
    form = _international(value)
    digits = form.removeprefix("+")
    forms = {form}
    if not dialling or len(digits) < 7:
        return forms
    code, trunk = dialling
    if form.startswith("+"):
        national = digits.removeprefix(code)
        return forms | {national, trunk + national}
    bare = digits.removeprefix(trunk) if trunk else digits
    forms |= {f"+{code}{bare}", f"+{code}{digits}", f"+{code}{trunk}{bare}"}
    if code == "1":  # North America: the leading 1 comes and goes
        bare = digits.removeprefix("1") if len(digits) == 11 else digits
        forms |= {bare, "1" + bare, "+1" + bare}
    return forms
