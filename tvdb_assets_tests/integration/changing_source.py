"""A folder whose files arrive, change, move and vanish at random, with the history of each file.

What belongs here: the files, and the texts of them that search may show. What does not: the
processes that read them (`soak`), or the checks (`test_soak`).

Each paragraph has a unique number and is longer than half a chunk. So the searchable text of a
document identifies its version, and a version that keeps a paragraph keeps its vector.
"""

from __future__ import annotations

import io
import random
import re
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.message import EmailMessage
from itertools import count
from pathlib import Path

SUFFIXES = (".md", ".md", ".md", ".html", ".zip", ".eml")
_CLAUSE = re.compile(r"Clause (\d+) ")
_FOLDERS = ("", "claims/", "letters/2026/", "Ablage für Ältere/")
_ALWAYS = 4
"""The minimum number of files, because an empty folder counts as not mounted."""

Texts = Mapping[str, frozenset[int]]
"""The clauses of a file by member; the file itself has the empty name."""


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a file: the clauses of each member; the file itself has the empty name."""

    suffix: str
    clauses: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def texts(self) -> Texts:
        return {name: frozenset(numbers) for name, numbers in self.clauses if numbers}

    @property
    def data(self) -> bytes:
        """The bytes, which are the same at each call."""
        own = dict(self.clauses)
        if self.suffix == ".pdf":
            return b"%PDF-1.7\n1 0 obj\n<< /Type /Cat"
        if self.suffix == ".zip":
            return _zipped(own)
        if self.suffix == ".eml":
            return _mailed(own)
        return _written(own[""], self.suffix)


class ChangingSource:
    """The folder. All its changes are drawn from one random generator."""

    def __init__(self, root: Path, draw: random.Random) -> None:
        """Files are written at once."""
        self.root = root
        self._draw = draw
        self._numbers = count(1)
        self._paths = count(1)
        self.versions: dict[str, list[Content | None]] = {}
        """All versions by path, in order; None while the file did not exist."""
        self._gone: list[tuple[str, Content]] = []
        self._seen: dict[str, int] = {}
        self._surely_gone: frozenset[str] = frozenset()
        root.mkdir()
        for suffix in (*SUFFIXES, *SUFFIXES):
            self._put(self._new_path(suffix), self._new_content(suffix))
        self._put("broken.pdf", Content(".pdf", ()))

    @property
    def present(self) -> dict[str, Content]:
        """The existing files by path."""
        return {path: held[-1] for path, held in self.versions.items() if held[-1] is not None}

    def change(self, times: int) -> None:
        """Apply a number of random changes."""
        kinds = (self._arrive, self._edit, self._edit, self._move, self._copy, self._vanish)
        for _ in range(times):
            self._draw.choice((*kinds, self._come_back, self._take_back, self._swap))()

    @property
    def missing(self) -> frozenset[str]:
        """The paths of files that existed before and are missing now."""
        return frozenset(path for path, held in self.versions.items() if held[-1] is None)

    def looked(self, missing: frozenset[str]) -> None:
        """Record a scan of the folder that started when these files were missing."""
        self._surely_gone = missing & self.missing

    def wrong(self, shown: Mapping[str, frozenset[int]]) -> list[str]:
        """List the errors in the searchable clauses of each document."""
        problems = [
            f"{document} was shown, and is not"
            for document, first in self._seen.items()
            if document not in shown and self._stays(document, first)
        ]
        for document, clauses in shown.items():
            path, _, member = document.partition("!/")
            if path in self._surely_gone:
                problems.append(f"{document} is shown, and gone")
                continue
            held = self.versions.get(path, [])
            # An older version must not follow a newer one.
            first = self._seen.get(document, 0)
            for place, content in enumerate(held[first:], first):
                if content is not None and content.texts.get(member) == clauses:
                    self._seen[document] = place
                    break
            else:
                problems.append(f"{document} shows {sorted(clauses)}, which it never held, or not")
        return problems

    def _stays(self, document: str, first: int) -> bool:
        """Whether each version from the first one on has this document."""
        path, _, member = document.partition("!/")
        return all(held and member in held.texts for held in self.versions[path][first:])

    def lacking(self, shown: Mapping[str, frozenset[int]]) -> list[str]:
        """List the existing documents whose current version is not searchable."""
        return [
            f"{path}!/{member}".removesuffix("!/")
            for path, content in self.present.items()
            for member, clauses in content.texts.items()
            if shown.get(f"{path}!/{member}".removesuffix("!/")) != clauses
        ]

    def _arrive(self) -> None:
        suffix = self._draw.choice(SUFFIXES)
        self._put(self._new_path(suffix), self._new_content(suffix))

    def _edit(self) -> None:
        path, content = self._any()
        clauses = [
            (name, tuple(n if self._draw.random() < 0.6 else next(self._numbers) for n in numbers))
            for name, numbers in content.clauses
            # Of an archive, members may go; of a mail, only the attachment.
            if not (name and self._draw.random() < 0.3)
        ]
        if content.suffix in (".zip", ".eml") and self._draw.random() < 0.4:
            clauses.append((f"added{next(self._paths)}.md", self._new_clauses()))
        if clauses:
            self._put(path, replace(content, clauses=tuple(clauses)))

    def _move(self) -> None:
        path, content = self._any()
        target = self._new_path(content.suffix)
        self._at(target).parent.mkdir(parents=True, exist_ok=True)
        self._at(path).rename(self._at(target))
        self._note(path, None)
        self._note(target, content)

    def _copy(self) -> None:
        path, content = self._any()
        target = self._new_path(content.suffix)
        self._at(target).parent.mkdir(parents=True, exist_ok=True)
        # With the times of the original, as backups do it.
        shutil.copy2(self._at(path), self._at(target))
        self._note(target, content)

    def _vanish(self) -> None:
        if len(self.present) > _ALWAYS:
            path, content = self._any()
            self._at(path).unlink()
            self._note(path, None)
            self._gone.append((path, content))

    def _come_back(self) -> None:
        if self._gone:
            path, content = self._gone.pop(self._draw.randrange(len(self._gone)))
            self._put(path, content)

    def _take_back(self) -> None:
        path, content = self._any()
        before = [c for c in self.versions[path] if c is not None and c != content]
        if before:
            self._put(path, before[-1])

    def _swap(self) -> None:
        (one, first), (other, second) = self._any(), self._any()
        if first.suffix == second.suffix and one != other:
            aside = self.root / ".aside"
            self._at(one).rename(aside)
            self._at(other).rename(self._at(one))
            aside.rename(self._at(other))
            self._note(one, second)
            self._note(other, first)

    def _any(self) -> tuple[str, Content]:
        return self._draw.choice([(p, c) for p, c in self.present.items() if c.suffix != ".pdf"])

    def _put(self, path: str, content: Content) -> None:
        at = self._at(path)
        at.parent.mkdir(parents=True, exist_ok=True)
        if self._draw.random() < 0.5:
            at.write_bytes(content.data)
        else:
            aside = at.with_name(".aside")
            aside.write_bytes(content.data)
            aside.rename(at)
        self._note(path, content)

    def _note(self, path: str, content: Content | None) -> None:
        self.versions.setdefault(path, []).append(content)
        self._surely_gone -= {path}

    def _at(self, path: str) -> Path:
        return self.root / path

    def _new_path(self, suffix: str) -> str:
        return f"{self._draw.choice(_FOLDERS)}{next(self._paths)}{suffix}"

    def _new_clauses(self) -> tuple[int, ...]:
        return tuple(next(self._numbers) for _ in range(self._draw.randint(1, 4)))

    def _new_content(self, suffix: str) -> Content:
        names: list[str] = [""]
        if suffix == ".zip":
            names = ["a.md", "b.html", "c/d.md"][: self._draw.randint(1, 3)]
        elif suffix == ".eml":
            names = ["", "attached.md"]
        return Content(suffix, tuple((name, self._new_clauses()) for name in names))


def clauses_of(texts: list[str]) -> frozenset[int]:
    """The numbers of all clauses in these passages."""
    return frozenset(int(n) for text in texts for n in _CLAUSE.findall(text))


def _written(numbers: tuple[int, ...], suffix: str) -> bytes:
    parts = [
        f"Clause {n} has it that whoever leaves the gate number {n} open at night pays {n * 7} "
        "euros, and is told so by a letter which the office sends on the first day of the month."
        for n in numbers
    ]
    if suffix == ".html":
        body = "".join(f"<h2>Part</h2><p>{part}</p>\n\n" for part in parts)
        return f"<html><body>{body}</body></html>".encode()
    return "\n\n".join(f"## Part\n\n{part}" for part in parts).encode()


def _zipped(clauses: Mapping[str, tuple[int, ...]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, numbers in clauses.items():
            # A fixed time, so that equal clauses are equal bytes.
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            archive.writestr(info, _written(numbers, Path(name).suffix))
    return buffer.getvalue()


def _mailed(clauses: Mapping[str, tuple[int, ...]]) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"] = "office@mail.test", "archive@mail.test"
    mail["Subject"] = "The gates"
    mail["Date"] = "Mon, 05 Jan 2026 08:00:00 +0000"
    mail.set_content(_written(clauses[""], ".md").decode())
    for name, numbers in clauses.items():
        if name:
            mail.add_attachment(_written(numbers, ".md"), "text", "markdown", filename=name)
    if mail.is_multipart():
        mail.set_boundary("of-the-soak")
    return mail.as_bytes()
