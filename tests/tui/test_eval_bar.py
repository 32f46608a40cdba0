import io
from time import perf_counter

from rich.console import Console

from warmline.eval.run import Progress
from warmline.tui.commands._bar import Bar, told


def progress(**more: float) -> Progress:
    return Progress(500, done=100, kept=20, tokens_in=12_000, tokens_out=900, started=perf_counter() - 40, **more)  # type: ignore[arg-type]


def test_rate_cost_and_time_left_are_told() -> None:
    assert told(progress()) == ("2.0/s", "12,000 tokens in, 900 out", "3 min left")


def test_what_was_there_from_before_makes_no_run_look_faster() -> None:
    assert told(Progress(30, done=20, kept=20))[2] == ""


def test_slow_calls_are_told_by_the_minute() -> None:
    assert told(Progress(10, done=1, started=perf_counter() - 30))[0] == "2.0/min"


def test_trouble_is_counted_while_it_happens() -> None:
    some = progress(unscored=3)
    some.failed.append("j@x: HTTP 500")
    assert told(some)[1].endswith("3 unscored, 1 failed")


def test_the_bar_shows_it() -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=120)
    with Bar(screen) as bar:
        bar.tell(progress())
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert all(part in shown for part in ("100/500", "2.0/s", "12,000 tokens in, 900 out", "3 min left"))
