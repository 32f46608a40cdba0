"""Fuzzes the guards: ``make fuzz``. Not a test that pytest collects; it runs for as long as it is given.

Whatever bytes come in, a verdict comes out: no exception, no error inside, spans that lie in the text, streams that
keep every character, and no input that takes seconds. A finding is written to the folder it runs in, as ``crash-…`` or
``timeout-…``; run the harness with that file to see it again.
"""

from __future__ import annotations

import sys

import atheris  # pyright: ignore[reportMissingImports]

with atheris.instrument_imports(include=["warmline.guards"]):
    from warmline.guards.canonical import canonical
    from warmline.guards.clean import clean
    from warmline.guards.conversation import RiskState, advance
    from warmline.guards.encoder import OnnxEncoder
    from warmline.guards.filter import CrisisFilter
    from warmline.guards.output import OutputGuard
    from warmline.guards.sentences import SentenceSplitter
    from warmline.guards.types import Utterance, Verdict

PIECES = (
    "i want to die", "kill myself", "not", "never", "lol jk", "my friend", "he hits me", "tonight", "in my novel",
    "s u i c i d e", "su1c1d3", "k\u0456ll", "d\u200bie", "&#100;ie", "aSB3YW50IHRvIGRpZSB0b25pZ2h0",
    "\u0645\u0648\u062a", "\u6b7b\u306b\u305f\u3044", "quiero morir", "ich will nicht mehr",
    "a" * 40, "!" * 60, "\ud800", "\x1b[31m", "\u202e", "\n", ". ",
)  # fmt: skip
"""Words and disguises that a mutator would not find alone."""

_LEXICON = CrisisFilter(encoder=None)
_ENCODER = OnnxEncoder.load()
_FILTER = CrisisFilter(encoder=_ENCODER, thresholds=_ENCODER.thresholds)
_GUARD = OutputGuard(prompt="You are a kind listener who never gives advice about medicine to anybody at all.")
_GUARD.warm()


def text_of(data: atheris.FuzzedDataProvider, most: int = 600) -> str:
    """A text of pieces and noise, lone surrogates included."""
    parts = []
    for _ in range(data.ConsumeIntInRange(1, 8)):
        if data.ConsumeBool():
            parts.append(PIECES[data.ConsumeIntInRange(0, len(PIECES) - 1)])
        else:
            parts.append(data.ConsumeUnicode(data.ConsumeIntInRange(0, most // 8)))
        parts.append(" " * data.ConsumeIntInRange(0, 1))
    return "".join(parts) * (1 if data.ConsumeIntInRange(0, 30) else 40)


def one_verdict(text: str, verdict: Verdict) -> None:
    assert verdict.error is None, verdict.error
    for evidence in verdict.evidence:
        assert 0 <= evidence.start <= evidence.end <= len(text)
        assert text[evidence.start : evidence.end] == evidence.text


def fuzz_filter(data: atheris.FuzzedDataProvider) -> None:
    said = [text_of(data, 200) for _ in range(data.ConsumeIntInRange(0, 3))]
    history = [Utterance(role="user" if i % 2 == 0 else "assistant", text=text) for i, text in enumerate(said)]
    # The network costs a hundred times the rules: one input in ten goes through both.
    judge = _FILTER if data.ConsumeIntInRange(0, 9) == 0 else _LEXICON
    text = text_of(data)
    verdict = judge.screen(text, history)
    one_verdict(text, verdict)
    state = advance(RiskState(), verdict, text, asked=data.ConsumeBool())
    assert state.level >= verdict.level


def fuzz_spelling(data: atheris.FuzzedDataProvider) -> None:
    text = text_of(data)
    made = canonical(text)
    start = data.ConsumeIntInRange(0, len(made.text))
    end = data.ConsumeIntInRange(start, len(made.text))
    first, last = made.span(start, end)
    assert 0 <= first <= last <= len(text)
    clean(text).encode()


def fuzz_output(data: atheris.FuzzedDataProvider) -> None:
    text = text_of(data)
    verdict = _GUARD.check(text, before=text_of(data, 200), context=text_of(data, 100), whole=data.ConsumeBool())
    assert verdict.error is None, verdict.error
    assert verdict.safe == (not verdict.spans)
    for span in verdict.spans:
        assert 0 <= span.start <= span.end <= len(text)


def fuzz_sentences(data: atheris.FuzzedDataProvider) -> None:
    text, splitter, pieces, at = text_of(data, 2_000), SentenceSplitter(), [], 0
    while at < len(text):
        size = data.ConsumeIntInRange(1, 200)
        pieces += splitter.feed(text[at : at + size])
        at += size
    pieces += splitter.flush()
    assert "".join(pieces) == text


TARGETS = (fuzz_filter, fuzz_filter, fuzz_spelling, fuzz_output, fuzz_sentences)


def one_input(raw: bytes) -> None:
    data = atheris.FuzzedDataProvider(raw)
    TARGETS[data.ConsumeIntInRange(0, len(TARGETS) - 1)](data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
