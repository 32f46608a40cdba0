"""Every setting, where it comes from, and what a good value looks like.

Order of precedence: command-line flag, environment (``WARMLINE_…``, nested by ``__``), TOML file, default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import platformdirs
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

if TYPE_CHECKING:
    from .store.sealing import TextKey

APP = "warmline"


class SettingsError(ValueError):
    """A setting cannot be used. The message names the source, the key and a good value."""


def config_file() -> Path:
    """The TOML file that is read: ``WARMLINE_CONFIG``, else ``config.toml`` in the platform's config directory."""
    override = os.environ.get("WARMLINE_CONFIG")
    return Path(override) if override else Path(platformdirs.user_config_dir(APP)) / "config.toml"


def data_dir() -> Path:
    """Where conversations are kept: the platform's user data directory."""
    return Path(platformdirs.user_data_dir(APP))


def cache_dir() -> Path:
    """Where fetched models are kept: the platform's user cache directory."""
    return Path(platformdirs.user_cache_dir(APP))


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_default=True, use_attribute_docstrings=True)


class ModelSettings(_Section):
    """The language model that answers ordinary turns."""

    base_url: str | None = Field(default=None, examples=["http://127.0.0.1:8000/v1"])
    """Base URL of any OpenAI-compatible server. Empty: the embedded model answers in this process."""
    name: str | None = Field(default=None, examples=["warmline", "HuggingFaceTB/SmolLM2-135M-Instruct"])
    """Model name at ``base_url``; without one, a Hugging Face id for the embedded model."""
    api_key: SecretStr | None = Field(default=None, examples=["sk-..."])
    """Key for ``base_url``, if it wants one."""
    path: Path | None = Field(default=None, examples=["/srv/models/smollm2"])
    """A local checkpoint directory for the embedded model; wins over ``name``."""
    adapter: Literal["shipped", "off"] | Path = Field(default="shipped", examples=["/srv/models/my-adapter"])
    """The LoRA adapter of the embedded model: a directory as ``warmline finetune train`` writes it, ``off``, or
    ``shipped``, which is Warmline's own for the default model."""
    temperature: float = Field(default=0.3, ge=0, le=2, examples=[0.3])
    """Sampling temperature."""
    top_p: float = Field(default=0.9, gt=0, le=1, examples=[0.9])
    """Nucleus sampling mass."""
    repetition_penalty: float = Field(default=1.1, ge=1, le=2, examples=[1.1])
    """For the embedded model; 1 is off."""
    max_tokens: int = Field(default=220, ge=16, le=4096, examples=[220])
    """Longest reply, in tokens."""
    first_token_s: float = Field(default=20.0, gt=0, le=600, examples=[20])
    """Seconds to wait for the first token."""
    idle_s: float = Field(default=10.0, gt=0, le=600, examples=[10])
    """Seconds to wait between tokens."""
    total_s: float = Field(default=90.0, gt=0, le=3600, examples=[90])
    """Seconds for a whole reply."""
    retries: int = Field(default=1, ge=0, le=5, examples=[1])
    """Further tries when the server fails before its first token; without random waits."""

    @field_validator("base_url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value or None


class StoreSettings(_Section):
    """Where conversations are kept."""

    url: str | None = Field(default=None, examples=["sqlite:////home/me/w.db", "postgresql+psycopg://me@db/w"])
    """SQLAlchemy URL. Empty: ``warmline.db`` in the platform's user data directory."""
    pool_size: int = Field(default=10, ge=1, le=1_000, examples=[10])
    """Connections to PostgreSQL that one process opens at most."""
    pool_wait_s: float = Field(default=10.0, gt=0, le=300, examples=[10])
    """Seconds to wait for a free connection to PostgreSQL."""
    statement_s: float = Field(default=30.0, gt=0, le=600, examples=[30])
    """Seconds that one statement, or the wait for a lock, may take on PostgreSQL."""
    key: SecretStr | None = Field(default=None, examples=["the output of `openssl rand -base64 32`"])
    """Encrypts every text at rest: 32 random bytes in base64. Empty: texts are stored as they are."""
    other_keys: list[SecretStr] = Field(default_factory=list, examples=[["the key before this one"]])
    """Further keys that are read: the one before, or the next one while replicas change over."""
    retain_days: float | None = Field(default=None, gt=0, le=36_500, examples=[90])
    """Days after its last message when a conversation is deleted whole. Empty: it is kept until somebody deletes it."""

    @field_validator("key")
    @classmethod
    def _is_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        from .store.sealing import TextKey

        TextKey.read(value.get_secret_value())
        return value

    @field_validator("other_keys")
    @classmethod
    def _are_keys(cls, value: list[SecretStr]) -> list[SecretStr]:
        return [key for key in map(cls._is_key, value) if key]

    @property
    def text_key(self) -> TextKey | None:
        """``key``, ready for use."""
        from .store.sealing import TextKey

        return TextKey.read(self.key.get_secret_value()) if self.key else None

    @property
    def other_text_keys(self) -> list[TextKey]:
        """``other_keys``, ready for use."""
        from .store.sealing import TextKey

        return [TextKey.read(key.get_secret_value()) for key in self.other_keys]

    def resolved_url(self) -> str:
        """The URL in use."""
        if self.url:
            return self.url
        from sqlalchemy import URL  # a path may hold characters that mean something in a URL

        return URL.create("sqlite", database=str(data_dir() / "warmline.db")).render_as_string(hide_password=False)


class ThresholdSettings(_Section):
    """From which score of the encoder on a level holds, in place of what its weights were calibrated for."""

    concern: float | None = Field(default=None, ge=0, le=1, examples=[0.4])
    """A gentle question is asked from here on."""
    crisis: float | None = Field(default=None, ge=0, le=1, examples=[0.6])
    """A crisis from here on; lower finds more and alarms more often."""
    imminent: float | None = Field(default=None, ge=0, le=1, examples=[0.4])
    """Of a crisis, imminent from this share of the level head on."""
    category: float | None = Field(default=None, ge=0, le=1, examples=[0.4])
    """A category is named from here on."""
    window: float | None = Field(default=None, ge=0, le=1, examples=[0.7])
    """The last messages, read as one, are a crisis from here on; 1 turns this off."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.concern is not None and self.crisis is not None and self.concern > self.crisis:
            raise ValueError("concern must not be higher than crisis")
        return self


class SecondOpinionSettings(_Section):
    """A language model that is asked about messages of which the filter is unsure. Off until ``url`` is set."""

    url: str | None = Field(default=None, examples=["http://127.0.0.1:8000/v1"])
    """Base URL of an OpenAI-compatible server. Messages that are asked about are sent to it."""
    model: str | None = Field(default=None, examples=["Qwen/Qwen3-8B"])
    """Model name at ``url``; needed with it."""
    key: SecretStr | None = Field(default=None, examples=["sk-..."])
    """Key for ``url``, if it wants one."""
    timeout_s: float = Field(default=2.0, gt=0, le=10, examples=[2])
    """Seconds for the whole question; after them the filter's own verdict stands."""

    @field_validator("url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value or None

    @field_validator("model")
    @classmethod
    def _named(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("url") and not value:
            raise ValueError("is needed, because guards.second_opinion.url is set")
        return value or None


class GuardSettings(_Section):
    """The crisis filter and the output guard."""

    lexicons: list[Path] = Field(default_factory=list, examples=[["/etc/warmline/site-lexicon.yaml"]])
    """Further lexicon files, read after the ones that ship."""
    encoder: str = Field(default="shipped", min_length=1, examples=["shipped", "off", "/srv/encoder"])
    """The encoder behind the lexicon: ``shipped``, ``off``, or a folder with weights of your own."""
    hotlines: list[Path] = Field(default_factory=list, examples=[["/etc/warmline/our-lines.yaml"]])
    """Further hotline files; an entry with a known id replaces the shipped one."""
    timeout_s: float = Field(default=2.0, gt=0, le=30, examples=[2])
    """Seconds for one check; running over it leads to the safe reply."""
    thresholds: ThresholdSettings = Field(default_factory=ThresholdSettings)
    second_opinion: SecondOpinionSettings = Field(default_factory=SecondOpinionSettings)

    @property
    def screen_s(self) -> float:
        """Seconds for a message to be judged, a second opinion included."""
        return self.timeout_s + (self.second_opinion.timeout_s if self.second_opinion.url else 0.0)


class ChatSettings(_Section):
    """The terminal chat."""

    theme: Literal["auto", "light", "dark"] = Field(default="auto", examples=["dark"])
    """Colours of the chat; ``auto`` keeps what was last chosen."""


class HandoffSettings(_Section):
    """The human side: reviewers, and the webhook that tells another system of a ticket."""

    reviewer: str | None = Field(default=None, examples=["sam"])
    """Your name in `warmline review`: letters, digits and . : + - _. Empty: the name you are logged in with."""
    webhook_url: str | None = Field(default=None, examples=["https://desk.example.org/warmline"])
    """Where tickets are told to, signed and without any words of the conversation. Empty: nowhere."""
    webhook_secret: SecretStr | None = Field(default=None, examples=["32 random characters or more"])
    """Signs what is told; at least 16 characters. Needed with ``webhook_url``."""
    webhook_timeout_s: float = Field(default=10.0, gt=0, le=60, examples=[10])
    """Seconds that one delivery may take."""

    @field_validator("reviewer")
    @classmethod
    def _name(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"[\w.:+-]{1,64}", value, re.ASCII):
            raise ValueError("must be 1 to 64 letters, digits or . : + - _")
        return value or None

    @field_validator("webhook_url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value or None

    @field_validator("webhook_secret")
    @classmethod
    def _signs(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        length = len(value.get_secret_value()) if value else 0
        if info.data.get("webhook_url") and not length:
            raise ValueError("is needed, because handoff.webhook_url is set")
        if 0 < length < 16:
            raise ValueError("is too short; 16 characters at least")
        return value if length else None


class ServiceSettings(_Section):
    """The HTTP service, `warmline api`."""

    host: str = Field(default="127.0.0.1", examples=["0.0.0.0"])
    """Address to listen on; the default takes nobody from outside this machine."""
    port: int = Field(default=8080, ge=0, le=65535, examples=[8080])
    """Port to listen on; 0 takes a free one."""
    rate_per_minute: int = Field(default=600, ge=1, le=1_000_000, examples=[600])
    """Requests a key may make in a minute, on each replica."""
    max_body_bytes: int = Field(default=1_000_000, ge=1_000, le=16_000_000, examples=[1_000_000])
    """Largest request body taken."""
    body_s: float = Field(default=15.0, gt=0, le=300, examples=[15])
    """Seconds a client has to send its body."""
    head_s: float = Field(default=10.0, gt=0, le=300, examples=[10])
    """Seconds a client has to send the head of a request."""
    max_connections: int = Field(default=1_000, ge=1, le=100_000, examples=[1000])
    """Connections served at once; further ones are told to come back."""
    drain_s: float = Field(default=20.0, ge=0, le=600, examples=[20])
    """Seconds that running replies have after a stop signal; then they end with honest words."""
    cors_origins: list[str] = Field(default_factory=list, examples=[["https://app.example.org"]])
    """Origins whose pages may call the API from a browser. None by default."""
    web_chat: bool = Field(default=False, examples=[True])
    """Serve the web chat at /chat. Anybody who can open the page can then write."""
    embed_origins: list[str] = Field(default_factory=list, examples=[["https://www.example.org"]])
    """Sites that may show the web chat in a frame."""
    visitor_hours: float = Field(default=24.0, gt=0, le=24 * 90, examples=[24])
    """How long a visitor of the web chat can come back to a conversation."""
    visitor_rate_per_minute: int = Field(default=30, ge=1, le=10_000, examples=[30])
    """Requests a visitor of the web chat may make in a minute, and new visitors from one address."""

    @field_validator("cors_origins", "embed_origins")
    @classmethod
    def _origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            if not re.fullmatch(r"https?://[\w.-]+(:\d{1,5})?", origin, re.ASCII):
                raise ValueError("must be origins such as https://app.example.org, without a path")
        return value


class TraceSettings(_Section):
    """OpenTelemetry traces of a turn; needs the extra ``otel``. They hold names, levels and times, never a text."""

    url: str | None = Field(default=None, examples=["http://collector:4318/v1/traces"])
    """Where they are sent, as OTLP over HTTP. Empty: nowhere, and nothing is traced."""
    share: float = Field(default=1.0, ge=0, le=1, examples=[0.1])
    """Share of the turns that is traced, where the caller's own trace does not say."""
    service: str = Field(default="warmline", min_length=1, examples=["warmline"])
    """What this service is called in the traces."""

    @field_validator("url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value or None


class Settings(BaseSettings):
    """All settings of Warmline. ``Settings.load()`` reads them and explains what is wrong."""

    model_config = SettingsConfigDict(
        env_prefix="WARMLINE_",
        env_nested_delimiter="__",
        extra="forbid",
        validate_default=True,
        use_attribute_docstrings=True,
    )

    country: str | None = Field(default=None, examples=["US", "DE"])
    """ISO 3166-1 alpha-2 country for hotlines when a session names none."""
    model: ModelSettings = Field(default_factory=ModelSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    guards: GuardSettings = Field(default_factory=GuardSettings)
    chat: ChatSettings = Field(default_factory=ChatSettings)
    handoff: HandoffSettings = Field(default_factory=HandoffSettings)
    service: ServiceSettings = Field(default_factory=ServiceSettings)
    traces: TraceSettings = Field(default_factory=TraceSettings)

    @field_validator("country", mode="before")
    @classmethod
    def _alpha2(cls, value: Any) -> Any:
        if value is None or value == "":
            return None
        code = str(value).strip().upper()
        if len(code) != 2 or not code.isascii() or not code.isalpha():
            raise ValueError("must be a two-letter country code (ISO 3166-1), such as US")
        return {"UK": "GB"}.get(code, code)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=config_file()))

    @classmethod
    def load(cls, **flags: Any) -> Settings:
        """Read every source; ``flags`` are the command line's and win.

        Raises:
            SettingsError: naming the source, the key, what is wrong and a good value.
        """
        try:
            return cls(**flags)
        except ValidationError as error:
            raise SettingsError("\n".join(_explain(problem, flags) for problem in error.errors())) from None
        except (OSError, ValueError) as error:  # unreadable or broken TOML; broken JSON in a variable
            raise SettingsError(f"{config_file()}: {error}") from None


@dataclass(frozen=True)
class Setting:
    """One setting, as the reference and ``warmline doctor`` show it."""

    key: str
    """Dotted, as in the file: ``model.base_url``."""
    variable: str
    """Its environment variable."""
    field: FieldInfo

    def of(self, settings: Settings) -> Any:
        """Its value in ``settings``."""
        value: Any = settings
        for part in self.key.split("."):
            value = getattr(value, part)
        return value

    def source(self, settings: Settings) -> str:
        """Where the value came from."""
        if self.variable in os.environ:
            return self.variable
        *sections, name = self.key.split(".")
        owner: Any = settings
        for section in sections:
            owner = getattr(owner, section)
        return str(config_file()) if name in owner.model_fields_set else "default"


def every_setting(model: type[BaseModel] = Settings, prefix: tuple[str, ...] = ()) -> Iterator[Setting]:
    """All settings, in the order in which they are declared."""
    for name, field in model.model_fields.items():
        path = (*prefix, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from every_setting(field.annotation, path)
        else:
            yield Setting(".".join(path), "WARMLINE_" + "__".join(path).upper(), field)


def _explain(problem: Any, flags: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    variable = "WARMLINE_" + key.replace(".", "__").upper()
    if key in flags:
        source = "command line"
    elif variable in os.environ:
        source = f"environment variable {variable}"
    else:
        source = str(config_file())
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "there is no such setting; `warmline doctor` lists them"
    known = {setting.key: setting for setting in every_setting()}
    examples = known[key].field.examples if key in known else None
    hint = f" A good value: {examples[0]!r}." if examples else ""
    return f"{source}: setting {key}: {message}.{hint}"
