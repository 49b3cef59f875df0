"""The documents of the simulation: a few pages each, made once, chosen by each seed.

What belongs here: their bytes, and which of them no service will ever take. What does not:
which of them a seed ingests (`fault_scenario`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

POISON = "zzpoison"
"""A text with this word is always refused."""
_SHARED = (
    "The insured tells the insurer of a loss within seven days, in writing, and keeps what was "
    "damaged until it has been looked at, unless the police ask for something else."
)
_SUBJECTS = ("roof", "cellar", "kitchen", "garden", "garage", "stable", "boat", "bicycle")


@dataclass(frozen=True)
class Corpus:
    """The files in one folder."""

    folder: Path
    markdown: tuple[str, ...]
    paid: tuple[str, ...]
    """Of a kind that LlamaParse parses in the mode real."""
    twins: tuple[str, str]
    """Two of the paid ones, with the same bytes."""
    poison: tuple[str, ...]
    long: str
    """The service makes more pages of it than its size lets expect; in no seed."""


def make_corpus(folder: Path) -> Corpus:
    def write(name: str, text: str) -> str:
        (folder / name).write_bytes(text.encode())
        return name

    markdown = [write(f"policy{n}.md", _markdown(n, parts=n % 6 + 1)) for n in range(12)]
    paid = [write(f"page{n}.html", _html(n, parts=n % 4 + 1)) for n in range(6)]
    twins = write("twin_a.html", _html(40, 3)), write("twin_b.html", _html(40, 3))
    poison = [
        write("poison.md", _markdown(50, 3).replace("ladder 1", f"ladder {POISON}")),
        write("poison.html", _html(51, 2).replace("ladder 1", f"ladder {POISON}")),
    ]
    long = write("long.html", _html(60, 2).replace("</h2>", "</h2>\f\f\f"))
    return Corpus(folder, tuple(markdown), (*paid, *twins), twins, tuple(poison), long)


def _paragraphs(number: int, parts: int) -> list[str]:
    subject = _SUBJECTS[number % len(_SUBJECTS)]
    own = [
        f"Clause {part} of policy {number}: damage to the {subject} by storm number {part} is "
        f"covered up to {1000 * (number + 1)} euros. Whoever climbs on ladder {part} of the "
        f"{subject} without a helmet pays {part + 2} percent of it, and is told so by letter."
        for part in range(parts)
    ]
    return [*own, _SHARED] if number % 2 else own


def _markdown(number: int, parts: int) -> str:
    pieces = [f"## Part {at}\n\n{text}\n" for at, text in enumerate(_paragraphs(number, parts))]
    return f"# Policy {number}\n\n" + "\n".join(pieces)


def _html(number: int, parts: int) -> str:
    pieces = [f"<h2>Part {at}</h2>\n<p>{t}</p>" for at, t in enumerate(_paragraphs(number, parts))]
    body = "\n\n".join(pieces)
    return f"<html><head><title>Page {number}</title></head>\n<body>\n{body}\n</body></html>\n"
