"""Guards of other projects in the crisis bench: any validator of guardrails-ai, and the input rails of NeMo Guardrails.

They say stop or pass, so that a stop counts as a crisis of no category. Both are loaded only when they are asked for;
neither may tell anybody about it (their metrics, traces and remote inference are off).
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl

from ..guards.training.corpus import Message
from ..guards.types import RiskLevel
from .journal import Screened
from .lines import EvalError

KINDS = ("guardrails:", "nemo:")
_GIVE_UP = 3
"""Failures without one verdict, after which the system cannot be used at all."""
SILENT = {
    "OTEL_SDK_DISABLED": "true",
    "NEMO_GUARDRAILS_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
"""Set, whatever the environment says, before either package is imported."""


class Peer:
    """A guard of another project. One message at a time: not all of them may be used from several at once."""

    def __init__(self, name: str, stops: Callable[[str], Awaitable[bool]]) -> None:
        self.name, self._stops = name, stops
        self._one_at_a_time = asyncio.Lock()
        self._failed, self._worked = 0, False

    async def screen(self, message: Message) -> Screened:
        """Its verdict; ``None`` for the level where it failed on this message.

        Raises:
            EvalError: it has failed on every message so far.
        """
        level: RiskLevel | None
        async with self._one_at_a_time:
            try:
                level = RiskLevel.ELEVATED if await self._stops(message.text) else RiskLevel.NONE
                self._worked = True
            except Exception as error:  # whatever a validator raises, this message has no verdict
                level, self._failed = None, self._failed + 1
                if not self._worked and self._failed >= _GIVE_UP:
                    raise EvalError(
                        f"--system {self.name}: no verdict in {_GIVE_UP} messages ({type(error).__name__}: {error})"
                    ) from None
        return Screened(id=message.id, system=self.name, level=level)


def peer(spec: str) -> Peer:
    """``guardrails:module:Class``, ``guardrails:registered/name``, both with ``?argument=value``, or ``nemo:FOLDER``.

    Raises:
        EvalError: the package is not installed, or there is no such validator or configuration; saying what to do.
    """
    os.environ.update(SILENT)
    kind, _, what = spec.partition(":")
    return Peer(spec, _guardrails(spec, what) if kind == "guardrails" else _nemo(spec, what))


def _guardrails(spec: str, what: str) -> Callable[[str], Awaitable[bool]]:
    """The validator itself is asked, without a ``Guard`` around it: that would only keep a history and time it."""
    found = _package("guardrails", spec, "guardrails-ai", "pip install 'warmline[guardrails]'")
    importlib.import_module("guardrails.settings").settings.disable_tracing = True
    telemetry = importlib.import_module("guardrails.utils.hub_telemetry_utils").HubTelemetry(enabled=False)
    telemetry._tracer = None  # every new guard turns it on again where a ~/.guardrailsrc does not say no
    name, _, query = what.partition("?")
    kind = _validator(found, spec, name)
    arguments = {key: _value(value) for key, value in parse_qsl(query)}
    try:
        # use_local: never the vendor's inference, whatever a ~/.guardrailsrc says.
        validator = kind(**arguments, **({"use_local": True} if _takes_more(kind) else {}))
    except Exception as error:
        raise EvalError(f"--system {spec}: {kind.__name__} cannot be made: {type(error).__name__}: {error}") from None
    validator.use_local = True
    fail = importlib.import_module("guardrails_ai.types").FailResult

    async def stops(text: str) -> bool:
        return isinstance(await asyncio.to_thread(validator.validate, text, {}), fail)

    return stops


def _validator(guardrails: Any, spec: str, name: str) -> Any:
    module, colon, attribute = name.partition(":")
    if colon:
        here = str(Path.cwd())
        sys.path.insert(0, here)  # a validator of one's own lies in the folder one works in
        try:
            kind = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise EvalError(f"--system {spec}: {error}") from None
        finally:
            sys.path.remove(here)
        if not (inspect.isclass(kind) and issubclass(kind, guardrails.Validator)):
            raise EvalError(f"--system {spec}: {attribute} is no guardrails Validator")
        return kind
    kind = importlib.import_module("guardrails.validator_base").get_validator_class(name)
    if kind is None:
        raise EvalError(
            f"--system {spec}: no validator is registered as {name!r}; install it from the hub "
            f"(`guardrails hub install hub://{name}`) or give its import path, guardrails:module:Class"
        )
    return kind


def _takes_more(kind: Any) -> bool:
    parameters = inspect.signature(kind.__init__).parameters
    return "use_local" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _nemo(spec: str, what: str) -> Callable[[str], Awaitable[bool]]:
    """Only the input rails are run: what is asked is whether a message would have been stopped."""
    folder = Path(what)
    if not (folder / "config.yml").is_file() and not (folder / "config.yaml").is_file():
        raise EvalError(f"--system {spec}: {folder} holds no config.yml of NeMo Guardrails")
    nemo = _package("nemoguardrails", spec, "NeMo Guardrails", "pip install nemoguardrails")
    options = importlib.import_module("nemoguardrails.rails.llm.options")
    try:
        rails = nemo.LLMRails(nemo.RailsConfig.from_path(str(folder)))
    except Exception as error:
        raise EvalError(f"--system {spec}: {type(error).__name__}: {error}") from None
    if not rails.config.rails.input.flows:
        raise EvalError(f"--system {spec}: its config has no input rails (rails: input: flows:)")

    async def stops(text: str) -> bool:
        messages = [{"role": "user", "content": text}]
        result = await rails.check_async(messages, rail_types=[options.RailType.INPUT])
        return cast("bool", result.status == options.RailStatus.BLOCKED)

    return stops


def _package(module: str, spec: str, name: str, install: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = f" ({error})" if error.name != module else ""
        raise EvalError(f"--system {spec}: {name} is not installed{missing}: {install}") from None
