"""Rulings of a page: straight lines and edges of areas, and the grids that they form.

What belongs here: lines to grids. What does not: text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_SAME = 2.6  # points: the two edges of a drawn ruling, or of adjacent areas
_JOIN = 3.5  # points between two pieces of a ruling
_TOUCH = 3.5  # points between rulings that meet
_COVERED = 0.6  # share of a border that has to be drawn


class Ruling(NamedTuple):
    """A horizontal (`at` = y) or vertical (`at` = x) ruling from `start` to `end`."""

    at: float
    start: float
    end: float


@dataclass(slots=True)
class Grid:
    """Rulings that meet, with the positions of all rows and columns they form."""

    left: float
    top: float
    right: float
    bottom: float
    xs: list[float]
    ys: list[float]
    horizontal: list[Ruling]
    vertical: list[Ruling]


def merge_rulings(pieces: Iterable[Ruling], shortest: float = 4.0) -> list[Ruling]:
    """Join the pieces of each ruling and drop short ones."""
    clusters: list[list[Ruling]] = []
    for piece in sorted(pieces):
        if clusters and piece.at - clusters[-1][0].at <= _SAME:
            clusters[-1].append(piece)
        else:
            clusters.append([piece])
    out: list[Ruling] = []
    for cluster in clusters:
        cluster.sort(key=lambda piece: piece.start)
        at = sum(piece.at for piece in cluster) / len(cluster)
        start, end = cluster[0].start, cluster[0].end
        for piece in cluster[1:]:
            if piece.start <= end + _JOIN:
                end = max(end, piece.end)
            else:
                out.append(Ruling(at, start, end))
                start, end = piece.start, piece.end
        out.append(Ruling(at, start, end))
    return [ruling for ruling in out if ruling.end - ruling.start >= shortest]


def grids(horizontal: Sequence[Ruling], vertical: Sequence[Ruling]) -> list[Grid]:
    """The groups of rulings that meet, with at least one vertical ruling each."""
    count = len(horizontal) + len(vertical)
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, h in enumerate(horizontal):
        for j, v in enumerate(vertical, len(horizontal)):
            if (
                h.start - _TOUCH <= v.at <= h.end + _TOUCH
                and v.start - _TOUCH <= h.at <= v.end + _TOUCH
            ):
                parent[root(i)] = root(j)
    groups: dict[int, tuple[list[Ruling], list[Ruling]]] = {}
    for i in range(count):
        pair = groups.setdefault(root(i), ([], []))
        if i < len(horizontal):
            pair[0].append(horizontal[i])
        else:
            pair[1].append(vertical[i - len(horizontal)])
    out = []
    for hs, vs in groups.values():
        if not vs or not hs:
            continue
        left = min(min(h.start for h in hs), min(v.at for v in vs))
        right = max(max(h.end for h in hs), max(v.at for v in vs))
        top = min(min(v.start for v in vs), min(h.at for h in hs))
        bottom = max(max(v.end for v in vs), max(h.at for h in hs))
        xs = _positions([left, right, *(v.at for v in vs)])
        ys = _positions([top, bottom, *(h.at for h in hs)])
        out.append(Grid(left, top, right, bottom, xs, ys, hs, vs))
    out.sort(key=lambda grid: (grid.top, grid.left))
    return out


def is_drawn(rulings: Sequence[Ruling], at: float, start: float, end: float) -> bool:
    """Whether rulings at a position cover most of the way from start to end."""
    length = end - start
    covered = 0.0
    for ruling in rulings:
        if abs(ruling.at - at) <= _SAME + 0.5:
            covered += max(0.0, min(ruling.end, end) - max(ruling.start, start))
    return covered >= _COVERED * length


def _positions(values: Iterable[float]) -> list[float]:
    out: list[float] = []
    for value in sorted(values):
        if not out or value - out[-1] > _SAME + 1:
            out.append(value)
    return out
