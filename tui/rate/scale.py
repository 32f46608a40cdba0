"""Rows with points: one key gives the marked row its points. It keeps nothing; it tells what was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

CELL = 3
"""Width of a point on the scale."""


class Scale(Widget, can_focus=True):
    """Rows of a name and the points from 1 on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "step(-1)", show=False),
        Binding("down", "step(1)", show=False),
        Binding("left", "shift(-1)", show=False),
        Binding("right", "shift(1)", show=False),
        *(Binding(str(digit), f"give({digit or 10})", show=False) for digit in range(10)),
    ]

    class Changed(Message):
        """Other points, or another row."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: tuple[tuple[str, str], ...] = ()
        self._most = 10
        self.points: dict[str, int] = {}
        """By row id."""
        self.at = 0
        """Which row is marked."""

    @property
    def chosen(self) -> str:
        """Id of the marked row."""
        return self._rows[self.at][0] if self._rows else ""

    @property
    def unset(self) -> list[str]:
        """Names of the rows without points."""
        return [name for id, name in self._rows if id not in self.points]

    def show(self, rows: Sequence[tuple[str, str]], most: int, points: Mapping[str, int]) -> None:
        """Other rows: id and name, with the points that they have."""
        self._rows, self._most, self.points = tuple(rows), most, dict(points)
        self.at = next((n for n, (id, _) in enumerate(self._rows) if id not in self.points), 0)
        self.styles.height = len(self._rows)
        self._changed()

    def choose_unset(self) -> None:
        """Mark the first row without points."""
        self.at = next((n for n, (id, _) in enumerate(self._rows) if id not in self.points), self.at)
        self._changed()

    def action_step(self, by: int) -> None:
        """Another row."""
        self.at = max(0, min(len(self._rows) - 1, self.at + by))
        self._changed()

    def action_shift(self, by: int) -> None:
        """A point more or less; from nothing, the middle."""
        if self._rows:
            now = self.points.get(self.chosen)
            self.points[self.chosen] = max(1, min(self._most, now + by if now else (self._most + 1) // 2))
            self._changed()

    def action_give(self, points: int) -> None:
        """Points for the marked row; the mark goes on to the next row."""
        if self._rows and points <= self._most:
            self.points[self.chosen] = points
            self.at = min(len(self._rows) - 1, self.at + 1)
            self._changed()

    def on_click(self, event: Click) -> None:
        """A click on a row marks it; one on its points gives them."""
        if 0 <= event.y < len(self._rows):
            self.at = event.y
            points = (event.x - self._names - 3) // CELL + 1
            if event.x >= self._names + 3 and 1 <= points <= self._most:
                self.points[self.chosen] = points
            self._changed()

    @property
    def _names(self) -> int:
        return max((len(name) for _, name in self._rows), default=0)

    def _changed(self) -> None:
        self.refresh()
        self.post_message(self.Changed())

    def render(self) -> Content:
        """The rows."""
        return Content("\n").join(self._row(n, id, name) for n, (id, name) in enumerate(self._rows))

    def _row(self, number: int, id: str, name: str) -> Content:
        marked, given = number == self.at, self.points.get(id)
        style = "bold $primary" if marked else "$foreground" if given else "$quiet"
        cells = [
            (f"{point:^{CELL}}", "bold $chosen-text on $chosen" if point == given else "$quiet")
            for point in range(1, self._most + 1)
        ]
        return Content.assemble(("▸ " if marked else "  ", style), (name.ljust(self._names), style), " ", *cells)
