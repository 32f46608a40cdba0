"""Every figure of the two cards: ``warmline guards evaluate`` prints them, ``warmline guards card`` writes them.

Figures for messages come from predictions for writers that the network which made them had not seen; the shipped
network has seen all of the corpus, so it is never judged on it here. Intervals are 95 %.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..encoder import MULTILINGUAL, SHIPPED, OnnxEncoder, save_calibration
from ..filter import CrisisFilter
from . import conversations, elsewhere, encoder_report, filter_report, replies
from .corpus import HERE, read_every_language, unseen
from .held_out import HELD_OUT, read_held_out

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
DOCS = Path(__file__).parents[2] / "docs"


def write_into(card: Path, figures: str) -> None:
    """Replaces what stands between the marks of a card. ValueError when a mark is missing."""
    text = card.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{card}: needs one line {BEGIN} and one line {END}, to know where the figures go")
    before, rest = text.split(BEGIN)
    card.write_text(f"{before}{BEGIN}\n{figures}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def parser(name: str = "evaluate") -> argparse.ArgumentParser:
    """The command line of ``warmline guards evaluate`` and ``warmline guards card``."""
    options = argparse.ArgumentParser(prog=f"warmline guards {name}", description=__doc__)
    options.add_argument("--encoder", type=Path, default=SHIPPED, help="folder of model.onnx and calibration.json")
    options.add_argument("--multilingual", type=Path, default=MULTILINGUAL, help="the same for other languages")
    options.add_argument("--held-out", type=Path, default=HELD_OUT, help="folder of kept predictions, a file a fold")
    options.add_argument("--corpus", type=Path, default=HERE, help="folder of *.jsonl")
    options.add_argument("--cssrs", type=Path, help="posts_noid.csv: C-SSRS posts, not ours to ship")
    options.add_argument("--counselchat", type=Path, help="counselchat.csv: questions to therapists, not ours to ship")
    options.add_argument("--replies", type=Path, nargs="+", help="labelled replies: the figures of the output guard")
    options.add_argument("--only", choices=("messages", "conversations", "replies"), help="print this part only")
    options.add_argument(
        "--write-window",
        action="store_true",
        help="choose the threshold for the last messages as one, write it to calibration.json, and stop",
    )
    options.add_argument("--filter-card", type=Path, help="card whose part between the figures marks is replaced")
    options.add_argument("--card", type=Path, help="the same for the encoder's own card")
    return options


def main(arguments: Sequence[str] | None = None, name: str = "evaluate") -> int:
    """Entry of ``warmline guards evaluate``."""
    options = parser(name)
    chosen = options.parse_args(arguments)
    whole = chosen.only is None
    if chosen.only == "replies" and not chosen.replies:
        options.error("--only replies needs --replies FILES, JSON lines with text, safe and problems")
    if not whole and (chosen.card or chosen.filter_card):
        options.error("a card is written from a whole run: leave out --only")
    encoder = OnnxEncoder.load(chosen.encoder)
    multilingual = OnnxEncoder.load(chosen.multilingual)
    shipped = CrisisFilter(encoder=encoder, thresholds=encoder.thresholds, foreign=multilingual)
    if chosen.write_window:
        dialogues = conversations.read(chosen.corpus / "dialogues.jsonl")
        window = conversations.choose_window(dialogues, [conversations.verdicts(d, shipped) for d in dialogues])
        thresholds = encoder.thresholds.model_copy(update={"window": window})
        save_calibration(encoder.calibration.model_copy(update={"thresholds": thresholds}), chosen.encoder)
        print(f"{chosen.encoder / 'calibration.json'}: window {window}")
        return 0
    parts: list[str] = []
    about_encoder = ""
    if whole or chosen.only == "messages":
        predictions = read_held_out(chosen.held_out, chosen.corpus)
        if not predictions:
            options.error(f"no predictions in {chosen.held_out}: run `warmline guards calibrate --fold RUN AUTHORS`")
        about_encoder = encoder_report.report(predictions, encoder.calibration)
        parts.append("## Writers it has not seen\n\n" + filter_report.report(predictions, encoder.calibration))
        if foreign := [m for m in read_every_language(chosen.corpus) if unseen(m)]:
            said = elsewhere.languages(shipped, multilingual, foreign)
            parts.append("## Other languages (texts that no network and no rule was made with)\n\n" + said)
        others = [judge(shipped, path) for judge, path in (
            (elsewhere.cssrs, chosen.cssrs), (elsewhere.counselchat, chosen.counselchat)) if path]  # fmt: skip
        if others:
            parts.append("\n\n".join(["## Other sources (the shipped filter)", *others]))
    if whole or chosen.only == "conversations":
        dialogues = conversations.read(chosen.corpus / "dialogues.jsonl")
        parts.append("## Conversations\n\n" + conversations.report(dialogues, shipped))
    if chosen.replies:
        labelled = [reply for path in chosen.replies for reply in replies.read(path)]
        parts.append("## The output guard\n\n" + replies.report(labelled))
    figures = "\n\n".join(parts)
    print(figures)
    if about_encoder:
        print(f"\n## The encoder alone\n\n{about_encoder}")
    if chosen.filter_card:
        write_into(chosen.filter_card, figures)
    if chosen.card:
        write_into(chosen.card, about_encoder)
    return 0


def write_cards(arguments: Sequence[str] | None = None) -> int:
    """Entry of ``warmline guards card``: the same run, written into the cards of the checkout."""
    given = ["--filter-card", str(DOCS / "crisis-filter-card.md"), "--card", str(DOCS / "crisis-encoder-card.md")]
    if labelled := sorted((HERE / "replies").glob("*.jsonl")):
        given += ["--replies", *map(str, labelled)]
    return main([*given, *(arguments or [])], name="card")


if __name__ == "__main__":
    raise SystemExit(main())
