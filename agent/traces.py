"""Traces of a turn for OpenTelemetry: how long screening, the model, the gate and the store took, and how each ended.

Off until ``traces.url`` is set or a provider is handed in; nothing is imported and nothing is measured then. A trace
holds names, levels and numbers, never a text: no message of an exception either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider  # pyright: ignore[reportMissingImports]
    from opentelemetry.trace import Span, Tracer

    from ..guards.gate import SentenceGuard
    from ..guards.output import OutputVerdict
    from .settings import TraceSettings
    from .turn import TurnState

Value = str | int | float | bool | tuple[str, ...]


class Trace(Protocol):
    """A stretch of time with a name. Enter it to begin and leave it to end."""

    def part(self, name: str) -> Trace:
        """A stretch within this one."""
        ...

    def note(self, **values: Value | None) -> None:
        """Keep what was found; None is left out. Never a text."""
        ...

    def guard(self, guard: SentenceGuard) -> SentenceGuard:
        """``guard``, with a part ``gate`` for each sentence it judges."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None: ...


class _Untraced:
    """Nobody looks: costs nothing."""

    def part(self, name: str) -> Trace:
        return self

    def note(self, **values: Value | None) -> None:
        pass

    def guard(self, guard: SentenceGuard) -> SentenceGuard:
        return guard

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        pass


UNTRACED: Trace = _Untraced()
"""The trace of a turn that nobody looks at."""


class Traces:
    """Where the traces of an agent go.

    Args:
        provider: an OpenTelemetry SDK tracer provider; None keeps none.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("warmline") if provider else None

    @classmethod
    def from_settings(cls, settings: TraceSettings) -> Traces:
        """What the settings name.

        Raises:
            SettingsError: an address is set, and the extra ``otel`` is missing.
        """
        return cls(_provider(settings) if settings.url else None)

    def turn(self) -> Trace:
        """The trace of one turn."""
        return _Traced(self._tracer, "turn") if self._tracer else UNTRACED

    def joined(self, headers: Mapping[str, str]) -> AbstractContextManager[None]:
        """While this is open, turns that begin belong to the trace that a caller's ``traceparent`` names, if any."""
        return _joined(headers) if self._tracer and "traceparent" in headers else nullcontext()

    def close(self) -> None:
        """Send what is not sent yet. Blocking, for some seconds at most."""
        if self._provider:
            self._provider.shutdown()


def tell(trace: Trace, turn_id: str, state: TurnState | None, first_sentence_ms: float | None) -> None:
    """Note how a turn ended: its way, its level and what stopped the model, by name."""
    risk = state.get("risk") if state else None
    trace.note(
        turn_id=turn_id,
        route=state.get("route") if state else None,
        level=risk.level.value if risk else None,
        problems=(state.get("problems") if state else None) or None,
        first_sentence_ms=first_sentence_ms,
    )


class _Traced:
    def __init__(self, tracer: Tracer, name: str, parent: Span | None = None) -> None:
        from opentelemetry.trace import set_span_in_context

        self._tracer, self._name = tracer, f"warmline.{name}"
        self._context = set_span_in_context(parent) if parent else None
        self._span: Span | None = None

    def part(self, name: str) -> Trace:
        return _Traced(self._tracer, name, self._span)

    def note(self, **values: Value | None) -> None:
        for name, value in values.items():
            if value is not None and self._span:
                self._span.set_attribute(f"warmline.{name}", value)

    def guard(self, guard: SentenceGuard) -> SentenceGuard:
        return _TracedGuard(guard, self)

    def __enter__(self) -> Self:
        # Not made current: a turn is an async generator, which may end in another context than it began in.
        self._span = self._tracer.start_span(self._name, self._context)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        from opentelemetry.trace import StatusCode

        if self._span is None:
            return
        if kind is not None and issubclass(kind, Exception):
            self._span.set_status(StatusCode.ERROR, kind.__name__)  # its type alone: a message may quote somebody
        elif kind is not None:
            self.note(stopped=True)
        self._span.end()


class _TracedGuard:
    def __init__(self, guard: SentenceGuard, trace: Trace) -> None:
        self._guard, self._trace = guard, trace

    def check(self, sentence: str, before: str = "", context: str = "", whole: bool = False) -> OutputVerdict:
        with self._trace.part("gate") as part:
            verdict = self._guard.check(sentence, before=before, context=context, whole=whole)
            part.note(safe=verdict.safe, problems=tuple(map(str, verdict.problems)) or None, error=verdict.error)
            return verdict


@contextmanager
def _joined(headers: Mapping[str, str]) -> Iterator[None]:
    from opentelemetry.context import attach, detach
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    token = attach(TraceContextTextMapPropagator().extract(dict(headers)))
    try:
        yield
    finally:
        detach(token)


def _provider(settings: TraceSettings) -> TracerProvider:
    """A provider of our own: it is not made the process's, so no other library sends anything through it."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # pyright: ignore[reportMissingImports]
        from opentelemetry.sdk.resources import Resource  # pyright: ignore[reportMissingImports]
        from opentelemetry.sdk.trace import TracerProvider  # pyright: ignore[reportMissingImports]
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # pyright: ignore[reportMissingImports]
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # pyright: ignore[reportMissingImports]
    except ImportError:
        from .settings import SettingsError

        raise SettingsError("traces.url is set, and traces need an extra: pip install 'warmline[otel]'") from None

    class OwnProvider(TracerProvider):
        """Works also under OTEL_SDK_DISABLED, which keeps what other libraries send off: somebody named our address."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self._disabled = False

    provider = OwnProvider(
        sampler=ParentBasedTraceIdRatio(settings.share),
        resource=Resource.create({"service.name": settings.service}),
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.url)))
    return provider
