"""Folders that are exchanged for links while they are listed and read: nothing foreign is read."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tvdb_assets.errors import ConfigurationError, SourceError
from tvdb_assets.models import SourceFile
from tvdb_assets.sources.beneath import OutsideError, parent_of
from tvdb_assets.sources.folder import FolderStore
from tvdb_assets.sources.source import Source

# The folder and the link change places in one system call, about 500,000 times a second.
_SWAPPER = """
    import ctypes, os, sys
    folder, link = (os.fsencode(name) for name in sys.argv[1:])
    exchange = ctypes.CDLL(None).renameat2
    print("ready", flush=True)
    while True:
        exchange(-100, folder, -100, link, 2)
"""
_INSIDE, _OUTSIDE = b"inside", b"SECRET-outside"
_REFUSED = {"link_outside", "changed_while_read", "vanished"}


@contextmanager
def _swapped(folder: Path, link: Path) -> Iterator[None]:
    command = [sys.executable, "-c", textwrap.dedent(_SWAPPER), str(folder), str(link)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as swapper:
        try:
            assert swapper.stdout is not None
            assert swapper.stdout.readline() == b"ready\n"
            yield
        finally:
            swapper.kill()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    for place, content in ((root / "d" / "deep", _INSIDE), (tmp_path / "out" / "deep", _OUTSIDE)):
        place.mkdir(parents=True)
        (place / "f.txt").write_bytes(content)
        (place.parent / "f.txt").write_bytes(content)
    (tmp_path / "out" / "foreign.txt").write_bytes(_OUTSIDE)
    return root


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is of Linux")
@pytest.mark.parametrize("target", ["../out", "/absolute"])
@pytest.mark.timeout(900)
def test_no_foreign_file_is_read_or_listed_while_a_folder_is_swapped(
    root: Path, target: str, is_full: bool
) -> None:
    (root / "x").symlink_to(root.parent / "out" if target == "/absolute" else target)
    source = Source.open(str(root))
    times = 50_000 if is_full else 200
    outcomes: Counter[str] = Counter()
    with _swapped(root / "d", root / "x"):
        # Until the folder and the link were each found often, however slow the machine is.
        while min(outcomes[_INSIDE.decode()], outcomes["link_outside"]) < times:
            for path in ("d/f.txt", "d/deep/f.txt"):
                try:
                    outcomes[source.read(path, max_bytes=100).decode()] += 1
                    assert source.stat(path).size == len(_INSIDE)
                except SourceError as error:
                    outcomes[error.code] += 1
            for found in source.list():
                if isinstance(found, SourceFile):
                    outcomes[f"listed {found.path}"] += 1
                    assert found.size == len(_INSIDE)
    listed = {name.removeprefix("listed ") for name in outcomes if name.startswith("listed ")}
    assert listed <= {"d/f.txt", "d/deep/f.txt", "x/f.txt", "x/deep/f.txt"}
    assert outcomes.keys() <= {_INSIDE.decode(), *_REFUSED, *(f"listed {name}" for name in listed)}


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is of Linux")
@pytest.mark.parametrize("swapped", ["source", "above"])
def test_no_foreign_file_is_read_while_a_folder_above_the_source_is_swapped(
    tmp_path: Path, swapped: str, is_full: bool
) -> None:
    for place, content in (("above", _INSIDE), ("out", _OUTSIDE)):
        folder = tmp_path / place / "source" / "d"
        folder.mkdir(parents=True)
        (folder / "f.txt").write_bytes(content)
        (folder / f"{place}.txt").write_bytes(content)
    root = tmp_path / "above" / "source"
    folder = root if swapped == "source" else root.parent
    link = folder.parent / "link"
    link.symlink_to(tmp_path / "out" / ("source" if swapped == "source" else ""))
    source = Source.open(str(root))
    times = 50_000 if is_full else 200
    outcomes: Counter[str] = Counter()
    with _swapped(folder, link):
        while outcomes[_INSIDE.decode()] < times or outcomes["refused"] < times:
            try:
                outcomes[source.read("d/f.txt", max_bytes=100).decode()] += 1
                assert source.stat("d/f.txt").size == len(_INSIDE)
            except SourceError as error:
                outcomes["refused"] += error.code in _REFUSED
            outcomes.update(f.path for f in source.list() if isinstance(f, SourceFile))
    assert outcomes.keys() <= {_INSIDE.decode(), "refused", "d/f.txt", "d/above.txt"}


def test_a_stored_source_is_not_read_through_a_link(root: Path) -> None:
    stored = Source.open(str(root)).root
    assert Source.reopen(stored).read("d/f.txt", max_bytes=100) == _INSIDE
    root.rename(root.parent / "old")
    root.symlink_to(root.parent / "out")
    with pytest.raises(ConfigurationError) as caught:
        Source.reopen(stored)
    assert caught.value.code == "source_missing"


@pytest.mark.parametrize(
    ("link", "target", "found"),
    [
        ("a", "d/f.txt", True),
        ("a", "d/../d/deep/../f.txt", True),
        ("d/a", "../d/f.txt", True),
        ("d/a", "../../source/d/f.txt", False),
        ("a", "d/../../out/f.txt", False),
        ("a", "..", False),
        ("a", ".", False),
        ("d/a", "..", False),
        ("a", "/etc/passwd", False),
    ],
)
def test_a_link_is_followed_only_within_the_source(
    root: Path, link: str, target: str, found: bool
) -> None:
    (root / link).symlink_to(target)
    source = Source.open(str(root))
    if found:
        assert source.read(link, max_bytes=100) == _INSIDE
    else:
        with pytest.raises(SourceError) as caught:
            source.read(link, max_bytes=100)
        assert caught.value.code == "link_outside"


def test_an_absolute_link_to_the_source_by_another_name_is_followed(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "alias").symlink_to(root)
    (root / "a").symlink_to(tmp_path / "alias" / "d" / "f.txt")
    (root / "b").symlink_to(root / "d" / "f.txt")
    source = Source.open(str(root))
    assert [source.read(name, max_bytes=100) for name in "ab"] == [_INSIDE, _INSIDE]


def test_no_descriptor_stays_open(root: Path) -> None:
    (root / "a").symlink_to("d/deep/../f.txt")
    (root / "up").symlink_to("..")
    source = Source.open(str(root))
    before = os.listdir("/dev/fd")
    for _ in range(3):
        list(source.list())
        list(source.list(["d/deep", "up/x", "a"]))
        source.read("a", max_bytes=100)
        with (
            pytest.raises(OutsideError),
            parent_of(str(root), ["d", "deep", "..", "..", "..", "x"]),
        ):
            pass
        # A listing that is not read to its end.
        next(source.list())
    assert os.listdir("/dev/fd") == before


def test_the_status_of_a_document_is_that_of_the_bytes_that_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two folders of the source are exchanged after a document was looked at."""
    for name in ("public", "secret"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.md").write_text(name)
    source = Source.open(str(tmp_path))
    listed = {f.path: f for f in source.list() if isinstance(f, SourceFile)}
    looked = FolderStore.stat

    def stat(store: FolderStore, path: str) -> SourceFile:
        found = looked(store, path)
        for old, new in (("public", "x"), ("secret", "public"), ("x", "secret")):
            (tmp_path / old).rename(tmp_path / new)
        return found

    monkeypatch.setattr(FolderStore, "stat", stat)
    file, data = source.fetch("public/a.md", max_bytes=100)
    assert listed[f"{data.decode()}/a.md"].etag == file.etag
