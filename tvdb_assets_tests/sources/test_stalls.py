"""A folder on a mount whose server is gone: its calls never return, and nothing waits for them.

Such a mount needs rights that no test has, so a call of the system is replaced by one that waits
until the test ends.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tvdb_assets import error_codes as codes
from tvdb_assets.core.source_comparison import compare
from tvdb_assets.errors import ConfigurationError, SourceError
from tvdb_assets.models import SourceFile
from tvdb_assets.repositories.document_registry import ListedDocument
from tvdb_assets.sources import stalls
from tvdb_assets.sources.source import Source
from tvdb_assets.sources.stalls import MAX_ABANDONED, StallGuard

NAMES = ["a.md", "archive/1.md", "archive/2.md", "b.md", "c/3.md"]
SECONDS = 0.3


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in NAMES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"# Note\n\nThe text of {name}.\n")
    return tmp_path


@pytest.fixture
def source(root: Path) -> Source:
    return Source.open(str(root), SECONDS)


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, Path], None]]:
    """Makes a function of the module `os` wait for ever on a path, by name or descriptor."""
    is_over = threading.Event()

    def hang_on(name: str, path: Path) -> None:
        real = getattr(os, name)
        hung = path.stat()

        def hanging(opened: Any, *args: Any, dir_fd: int | None = None, **given: Any) -> Any:
            at = {} if dir_fd is None else {"dir_fd": dir_fd}
            if isinstance(opened, str | int):
                try:
                    found = os.stat(opened, **at)  # noqa: PTH116 - a descriptor, too
                except OSError:
                    found = None
                if found is not None and os.path.samestat(found, hung):
                    is_over.wait()
            return real(opened, *args, **at, **given)

        monkeypatch.setattr(os, name, hanging)

    yield hang_on
    is_over.set()
    deadline = time.monotonic() + 10
    while +stalls._abandoned and time.monotonic() < deadline:
        os.sched_yield()
    assert not +stalls._abandoned


def listed(source: Source, *prefixes: str) -> list[str | tuple[str | None, str]]:
    return [
        item.path if isinstance(item, SourceFile) else (item.document, item.code)
        for item in source.list(prefixes)
    ]


@pytest.mark.parametrize("call", ["scandir", "open"])
def test_a_listing_that_stalls_ends_and_hides_all_that_it_did_not_reach(
    root: Path, source: Source, hang: Callable[[str, Path], None], call: str
) -> None:
    hang(call, root / "archive")
    assert listed(source) == ["a.md", ("", "unlisted")]
    assert listed(source, "archive") == [("archive", "unlisted")]
    assert listed(source, "c") == ["c/3.md"]
    known = {name: ListedDocument(number, "", False) for number, name in enumerate(NAMES)}
    found = compare(source.list(), known, root=source.root, is_whole=True)
    assert found.gone == []
    assert "0.3 seconds" in found.unlisted[0].message


def test_a_file_that_can_not_be_read_fails_alone(
    root: Path, source: Source, hang: Callable[[str, Path], None]
) -> None:
    hang("fstat", root / "archive/1.md")
    with pytest.raises(SourceError) as caught:
        source.read("archive/1.md", max_bytes=100)
    assert (caught.value.code, caught.value.document) == ("read_stalled", "archive/1.md")
    assert b"archive/2.md" in source.read("archive/2.md", max_bytes=100)


def test_a_source_that_does_not_answer_fails_at_once_after_a_few_calls(
    root: Path, source: Source, hang: Callable[[str, Path], None]
) -> None:
    hang("fstat", root / "archive/1.md")
    # If each of them were waited for, the test would take its time limit.
    slow = Source.open(str(root), 3_600)
    for _ in range(MAX_ABANDONED):
        with pytest.raises(SourceError, match="no answer"):
            source.read("archive/1.md", max_bytes=100)
    with pytest.raises(SourceError, match="no answer"):
        slow.read("archive/2.md", max_bytes=100)
    assert listed(slow) == [("", "unlisted")]
    with pytest.raises(ConfigurationError) as caught:
        Source.open(str(root), 3_600)
    assert caught.value.code == "source_stalled"


def test_a_slow_listing_and_a_slow_reader_are_no_stall() -> None:
    turns = [threading.Event() for _ in range(5)]

    def slow() -> Iterator[int]:
        for number, turn in enumerate(turns):
            turn.wait(SECONDS * 0.6)
            yield number

    taken = []
    for number in StallGuard("", SECONDS).iterate(slow):
        threading.Event().wait(SECONDS * 0.6)
        taken.append(number)
    assert taken == list(range(5))


def test_an_error_of_a_listing_follows_the_items_before_it() -> None:
    def broken() -> Iterator[int]:
        yield from range(1_200)
        raise codes.SOURCE_MISSING.error(root="x")

    taken = []
    with pytest.raises(ConfigurationError):
        for number in StallGuard("", SECONDS).iterate(broken):
            taken.append(number)
    assert taken == list(range(1_200))


def test_a_listing_that_is_not_read_to_its_end_ends_its_thread() -> None:
    ended = threading.Event()

    def endless() -> Iterator[int]:
        number = 0
        try:
            while True:
                yield (number := number + 1)
        finally:
            ended.set()

    items = StallGuard("", SECONDS).iterate(endless)
    assert next(items) == 1
    items.close()  # type: ignore[attr-defined]
    assert ended.wait(10)
