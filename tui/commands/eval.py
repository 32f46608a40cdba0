"""``warmline eval``: what the parts are worth, measured, compared and reported."""

from __future__ import annotations

import asyncio
import json as jsonlib
from contextlib import AsyncExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._bar import Bar
from ._options import Json, load_settings
from ._reports import finish, slug
from .simulate import simulate

if TYPE_CHECKING:
    from ...agent.settings import Settings
    from ...eval.journal import Journal
    from ...eval.judging import Mode
    from ...eval.questions import Bench
    from ...eval.results import RunResult
    from ...eval.systems import System

app = typer.Typer(help="Measure what the parts are worth.", no_args_is_help=True)
app.command()(simulate)

MODEL_KEY, JUDGE_KEY = "WARMLINE_EVAL_MODEL_KEY", "WARMLINE_EVAL_JUDGE_KEY"
BENCHES = {
    "warmline200": "200 questions of this project, 33 topics; ships with it, in no need of a network",
    "mentalchat200": "the 200 questions of MentalChat16K; fetched once from ChiaPatricia/FastChat, or --file",
    "questions": "your own questions; --file JSONL with id and text",
    "crisis": "labelled messages; --file JSONL with text, level, categories; --system",
    "dialogues": "conversations labelled turn by turn; --file JSONL with turns",
    "imhi": "the test sets of MentaLLaMA; --file one CSV; --model; --encoder",
}
File = Annotated[Path | None, typer.Option("--file", help="The bench's file, where it does not ship.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave wrong lines out, count them, and go on.")]
RatingsFiles = Annotated[
    list[Path] | None,
    typer.Option("--ratings", help="CSV of human ratings: rater, question, system and the rubrics; may be repeated."),
]
Concurrency = Annotated[int, typer.Option(min=1, max=512, help="Calls at once.")]


@app.command()
def protocol(
    json: Json = False,
    failures: Annotated[bool, typer.Option("--failures", help="Name the dialogues that failed.")] = False,
) -> None:
    """Check the crisis protocol against the public VERA-MH dimensions, over scripted dialogues. No judge, no model.

    Exit code 1 when a dimension passes in fewer than 90 of 100 dialogues.

    Example: warmline eval protocol --failures
    """
    from ...eval.protocol import rows

    low = False
    for row in rows():
        whole = row.question == "all of it"
        low |= whole and row.percent < 90
        if json:
            typer.echo(jsonlib.dumps(asdict(row) | {"percent": round(row.percent, 1)}))
            continue
        what = row.dimension if whole else f"  {row.question}"
        typer.echo(f"{what:<70} {row.percent:6.1f} %  n={row.n}")
        if failures and row.failed:
            typer.echo(f"      failed: {', '.join(row.failed)}")
    raise typer.Exit(int(low))


@app.command(name="list")
def list_benches(json: Json = False) -> None:
    """List the benches.

    Example: warmline eval list
    """
    for name, what in BENCHES.items():
        typer.echo(jsonlib.dumps({"bench": name, "what": what}) if json else f"{name:<14} {what}")


@app.command()
def run(
    bench: Annotated[str, typer.Argument(help="One of those that `warmline eval list` names.")],
    model: Annotated[
        str, typer.Option("--model", help="agent, NAME@URL, or a JSONL file of answers.", show_default=True)
    ] = "agent",
    judge: Annotated[
        list[str] | None, typer.Option("--judge", help="NAME@URL; may be repeated. None: only gather answers.")
    ] = None,
    system: Annotated[
        list[str] | None,
        typer.Option(
            "--system",
            help="For crisis: filter, lexicon, encoder, keywords, NAME@URL, guardrails:MODULE:CLASS or "
            "guardrails:registered/name (with ?argument=value), nemo:FOLDER; may be repeated.",
        ),
    ] = None,
    file: File = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; the same one goes on where it stopped.")] = None,
    mode: Annotated[str, typer.Option(help="structured, or paper with --judge-prompt.")] = "structured",
    judge_prompt: Annotated[Path | None, typer.Option(help="judge_prompt_single_mental_v1.json, for paper.")] = None,
    crisis_filter: Annotated[
        bool, typer.Option("--filter/--no-filter", help="For the agent: with its crisis filter or without.")
    ] = True,
    encoder: Annotated[
        Path | None,
        typer.Option(help="For imhi: folder of a sentence encoder, such as `warmline guards backbone` leaves."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, max=20, help="Judgements of each answer by each judge.")] = 1,
    probe: Annotated[
        bool, typer.Option("--probe", help="Also measure what length and order do to each judge; up to 3 calls more.")
    ] = False,
    probe_on: Annotated[int, typer.Option(min=2, help="With --probe: on so many of the questions.")] = 50,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many questions or messages.")] = None,
    concurrency: Concurrency = 16,
    skip_bad: SkipBad = False,
) -> None:
    """Run a bench and write its log and report. What is in the log is never paid for again.

    Keys: WARMLINE_EVAL_MODEL_KEY and WARMLINE_EVAL_JUDGE_KEY. Exit code 1 when calls failed; the same command goes on.

    Example: warmline eval run warmline200 --model agent --judge Qwen/Qwen3-8B@http://127.0.0.1:8000/v1
    """
    from ...eval.lines import EvalError

    if bench not in BENCHES:
        raise typer.BadParameter(f"no bench {bench!r}; there are {', '.join(BENCHES)}")
    if bench == "mentalchat200" and file is None:
        from ...agent.settings import cache_dir
        from ...eval.published import mentalchat200

        file = mentalchat200(cache_dir() / "benches")
    if bench != "warmline200" and file is None:
        raise typer.BadParameter(f"{bench} wants --file: {BENCHES[bench]}")
    settings = load_settings()
    whose = "systems" if bench in ("crisis", "dialogues") else slug(model) + ("" if crisis_filter else "-no-filter")
    folder = out or Path("eval-runs") / f"{bench}-{whose}"
    if bench == "crisis" and file:
        named = system or ["filter", "keywords"]
        raise typer.Exit(asyncio.run(_crisis(file, named, folder, settings, limit, concurrency, skip_bad)))
    if bench == "dialogues" and file:
        raise typer.Exit(_dialogues(file, folder, settings))
    if mode not in ("structured", "paper") or (mode == "paper") != (judge_prompt is not None):
        raise EvalError("--mode is structured, or paper with --judge-prompt FILE")
    if bench == "imhi" and (probe or mode == "paper"):
        raise EvalError("imhi has a judge's prompt of its own; leave out --probe and --mode")
    made = _questions(
        bench,
        model,
        judge or [],
        file,
        folder,
        settings,
        judge_prompt,
        encoder=encoder,
        filtered=crisis_filter,
        repeats=repeats,
        probe_on=probe_on if probe else 0,
        limit=limit,
        concurrency=concurrency,
        skip_bad=skip_bad,
    )
    raise typer.Exit(asyncio.run(made))


async def _questions(
    bench: str,
    model: str,
    judges: list[str],
    file: Path | None,
    folder: Path,
    settings: Settings,
    judge_prompt: Path | None,
    *,
    encoder: Path | None,
    filtered: bool,
    repeats: int,
    probe_on: int,
    limit: int | None,
    concurrency: int,
    skip_bad: bool,
) -> int:
    from ...eval import imhi
    from ...eval.calibration import read_calibrations
    from ...eval.endpoint import Client, Endpoint
    from ...eval.explanations import SentenceEncoder, explanation_mode
    from ...eval.journal import Journal
    from ...eval.judging import paper, structured
    from ...eval.probe import chosen
    from ...eval.probing import probe
    from ...eval.questions import Bench, checksum, read_questions
    from ...eval.report import Report
    from ...eval.results import read_result
    from ...eval.run import header
    from ...eval.run import run as run_bench

    the_mode: Mode = paper(judge_prompt) if judge_prompt else structured()
    labelled = None
    if bench == "imhi" and file:
        labelled, the_mode = imhi.read_set(file, skip_bad=skip_bad), explanation_mode()
        questions = Bench(f"imhi {labelled.name}", labelled.questions, checksum(file), labelled.left_out)
    else:
        questions = read_questions(file, name=bench, skip_bad=skip_bad)
    _tell_left_out(questions.left_out)
    if limit:
        questions = Bench(questions.name, questions.questions[:limit], questions.checksum, questions.left_out)
    async with AsyncExitStack() as stack:
        tested = await _system(stack, model, settings, filtered, concurrency, skip_bad, questions, bare=bool(labelled))
        clients = [
            await stack.enter_async_context(Client(Endpoint.parse(name, JUDGE_KEY), connections=concurrency))
            for name in dict.fromkeys(judges)
        ]
        journal: Journal = stack.enter_context(Journal(folder / "run.jsonl", header(questions, tested)))
        bar = stack.enter_context(Bar())
        progress = await run_bench(
            questions, tested, clients, the_mode, journal, repeats=repeats, concurrency=concurrency, tell=bar.tell
        )
        if probe_on and clients:
            some = chosen(questions.questions, probe_on)
            probed = await probe(some, clients, the_mode, journal, concurrency=concurrency, tell=bar.tell)
            progress.failed += probed.failed
    result = read_result(folder, the_mode.rubrics)
    found = Report(runs=(result,), calibrations=read_calibrations(folder))
    if labelled:
        answers = {id: answer.text for id, answer in result.answers.items()}
        measured = imhi.figures(labelled, answers, SentenceEncoder(encoder) if encoder else None)
        found = Report(runs=(result,) if judges else (), imhi=(measured,), rubrics=the_mode.rubrics)
    elif not judges:
        typer.echo("No --judge: the answers were gathered and not rated.")
    return finish(found, folder, f"{questions.name}: {tested.name}", progress)


async def _system(
    stack: AsyncExitStack,
    model: str,
    settings: Settings,
    filtered: bool,
    concurrency: int,
    skip_bad: bool,
    bench: Bench,
    *,
    bare: bool,
) -> System:
    from ...eval.endpoint import Client, Endpoint
    from ...eval.lines import EvalError
    from ...eval.questions import read_answers
    from ...eval.systems import AnswersSystem, EndpointSystem, agent_system

    if model == "agent":
        return await stack.enter_async_context(agent_system(settings, filtered=filtered))
    if model.endswith(".jsonl"):
        answers, wrong = read_answers(Path(model), skip_bad=skip_bad)
        _tell_left_out(wrong)
        if missing := [q.id for q in bench.questions if q.id not in answers]:
            raise EvalError(f"{model}: no answer to {len(missing)} of the questions, such as {missing[0]}")
        return AnswersSystem(answers, Path(model).stem)
    client = Client(Endpoint.parse(model, MODEL_KEY), connections=concurrency)
    return EndpointSystem(await stack.enter_async_context(client), bare=bare)


async def _crisis(
    file: Path,
    names: list[str],
    folder: Path,
    settings: Settings,
    limit: int | None,
    concurrency: int,
    skip_bad: bool,
) -> int:
    from ...eval import crisis
    from ...eval.journal import VERSION, Header, Journal
    from ...eval.questions import checksum
    from ...eval.report import Report

    lines = crisis.read_messages(file, skip_bad=skip_bad)
    _tell_left_out(lines.wrong)
    messages = lines.rows[:limit]
    systems = [crisis.system(name, settings.guards, key=MODEL_KEY) for name in dict.fromkeys(names)]
    about = Header(
        version=VERSION, bench="crisis", checksum=checksum(file), system="", model="", left_out=len(lines.wrong)
    )
    with Journal(folder / "run.jsonl", about) as journal, Bar() as bar:
        progress = await crisis.screen_all(messages, systems, journal, concurrency=concurrency, tell=bar.tell)
    heard = crisis.read_heard(folder / "run.jsonl", [system.name for system in systems])
    return finish(Report(crisis=crisis.figures(messages, heard)), folder, f"Crisis bench: {file.name}", progress)


def _dialogues(file: Path, folder: Path, settings: Settings) -> int:
    from ...agent.parts import crisis_filter
    from ...eval.dialogues import every_figure, read_dialogues
    from ...eval.report import Report

    figures = every_figure(read_dialogues(file), crisis_filter(settings.guards))
    return finish(Report(dialogues=tuple(figures)), folder, f"Dialogues: {file.name}", None)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, or their run.jsonl.")],
    out: Annotated[Path, typer.Option(help="Folder for report.html, report.md and report.json.")] = Path("eval-report"),
    title: Annotated[str, typer.Option(help="Its heading.")] = "Warmline evaluation",
    ratings: RatingsFiles = None,
    calibration: Annotated[
        list[Path] | None,
        typer.Option("--calibration", help="A calibration.json, or the folder it is in, besides those of the runs."),
    ] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Put several runs of questions into one report: charts, tables, comparisons, every transcript.

    What people said with `warmline eval rate` lies beside the runs and is read from there.

    Example: warmline eval report eval-runs/warmline200-agent eval-runs/warmline200-base --ratings people.csv
    """
    from ...eval.calibration import read_calibrations
    from ...eval.report import Report

    results = _rated(runs, ratings, skip_bad)
    places = [*(calibration or ()), *(run.path.parent for run in results)]
    found = tuple(one for place in places for one in read_calibrations(place))
    raise typer.Exit(finish(Report(runs=results, calibrations=found), out, title, None))


@app.command()
def calibrate(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs whose answers people and judges have scored.")],
    ratings: RatingsFiles = None,
    skip_bad: SkipBad = False,
) -> None:
    """Bring judges' scores onto the scale of people who rated the same answers. Writes calibration.json into each run.

    The error is cross-validated. Exit code 1 when no judge has enough rated answers.

    Example: warmline eval calibrate eval-runs/warmline200-agent --ratings people.csv
    """
    from ...eval.calibration import calibrate as calibrated
    from ...eval.calibration import write_calibrations
    from ...eval.judges import calibration_told

    results = _rated(runs, ratings, skip_bad)
    made, why_not = calibrated(results)
    for one in made:
        typer.echo(calibration_told(one))
    for line in why_not:
        typer.echo(f"not calibrated: {line}")
    for run in results if made else ():
        write_calibrations(run.path.parent, made)
    raise typer.Exit(int(not made))


@app.command()
def rate(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs; several are rated and ranked blindly.")],
    rater: Annotated[str, typer.Option("--rater", help="Your name, e.g. sam; the ratings are kept under it.")],
    questions: Annotated[
        int | None, typer.Option(min=1, help="Only so many questions, the same ones for every rater.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the questions that are picked and of their order.")] = 0,
) -> None:
    """Rate answers by the seven rubrics, and rank them, without seeing which system wrote them.

    What you say is kept in RUN/ratings/NAME.jsonl as you say it; the same command goes on where you left off.

    Example: warmline eval rate eval-runs/warmline200-agent eval-runs/warmline200-base --rater sam --questions 40
    """
    from ...eval.blind import Sheet
    from ...eval.results import read_result
    from ..rate import run as open_screen

    def now() -> str:
        return datetime.now(UTC).isoformat(timespec="seconds")

    sheet = Sheet([read_result(path) for path in runs], rater, now=now, seed=seed, questions=questions)
    code = open_screen(sheet, load_settings().chat.theme)
    typer.echo(f"{sheet.finished} of {len(sheet.pages)} pages are done.")
    raise typer.Exit(code)


def _rated(runs: list[Path], files: list[Path] | None, skip_bad: bool) -> tuple[RunResult, ...]:
    """The runs with what people said about them, also in CSVs."""
    from ...eval.lines import EvalError
    from ...eval.ratings import read_csv
    from ...eval.results import read_result, told_apart, with_ratings

    results = told_apart([read_result(path) for path in runs])
    for file in files or ():
        found, wrong = read_csv(file, skip_bad=skip_bad)
        _tell_left_out(wrong)
        strange = [one for one in found.ratings if not any(run.holds(one) for run in results)]
        if len(strange) == len(found.ratings):
            names = ", ".join(sorted({run.name for run in results}))
            raise EvalError(f"{file}: none of its ratings is about an answer of these runs (systems: {names})")
        if strange:
            typer.echo(
                f"{file}: {len(strange)} ratings are of no answer in these runs, "
                f"such as {strange[0].question} of {strange[0].system}",
                err=True,
            )
        results = [with_ratings(run, found) for run in results]
    return tuple(results)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="Folder of a run.")],
    b: Annotated[Path, typer.Argument(help="Folder of another one over the same questions.")],
    json: Json = False,
) -> None:
    """Compare two runs question by question: paired bootstrap, Holm's correction, effect sizes, win rates.

    Example: warmline eval compare eval-runs/warmline200-tuned eval-runs/warmline200-base
    """
    from ...eval.report import Report, as_data, told_comparisons
    from ...eval.results import compare as compared
    from ...eval.results import read_result, told_apart

    pair = Report(runs=tuple(told_apart([read_result(a), read_result(b)])))
    compared(*pair.runs)  # tells why, where they cannot be compared
    typer.echo(jsonlib.dumps(as_data(pair)["comparisons"], indent=2) if json else told_comparisons(pair))


@app.command()
def gate(
    config: Annotated[Path, typer.Option("--config", help="TOML: report = FILE and [[threshold]] tables.")],
) -> None:
    """Hold a report against thresholds. Exit code 1 when one is missed or its figure was not measured.

    Example: warmline eval gate --config gate.toml
    """
    from ...eval.gate import checks

    found = checks(config)
    for check in found:
        typer.echo(check.told())
    raise typer.Exit(int(not all(check.passed for check in found)))


def _tell_left_out(wrong: tuple[str, ...]) -> None:
    for line in wrong[:20]:
        typer.echo(f"left out: {line}", err=True)
    if len(wrong) > 20:
        typer.echo(f"left out: {len(wrong) - 20} more", err=True)
