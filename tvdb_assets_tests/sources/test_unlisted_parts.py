"""Folders and buckets that can't be listed: what is below them is unknown, and not gone."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from obstore.store import S3Store

from tvdb_assets.core.source_comparison import SourceDifference, compare
from tvdb_assets.errors import ConfigurationError, SourceError
from tvdb_assets.models import SourceFile
from tvdb_assets.repositories.document_registry import ListedDocument
from tvdb_assets.sources.bucket import BucketStore
from tvdb_assets.sources.source import Source
from tvdb_assets_tests.sources.broken_listing import is_open, listing_that_breaks_off
from tvdb_assets_tests.sources.listing_server import BREAKS, ListingServer

NAMES = ["a.md", "archive.md", "archive/1.md", "archive/old/2.md", "archived/3.md", "z.md"]
BELOW = ["archive/1.md", "archive/old/2.md"]
_ERRORS = ["EACCES", "EPERM", "EIO", "ESTALE", "ETIMEDOUT", "ENOTCONN", "EHOSTDOWN"]
_NOBODY = 65_534


def create(root: Path) -> None:
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def delete_archive(root: Path) -> None:
    for name in BELOW:
        (root / name).unlink()
    (root / "archive" / "old").rmdir()
    (root / "archive").rmdir()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    create(tmp_path)
    return tmp_path


def known(names: list[str]) -> dict[str, ListedDocument]:
    return {name: ListedDocument(i, "etag", is_gone=False) for i, name in enumerate(names)}


def difference(
    source: Source, names: list[str], *prefixes: str
) -> SourceDifference[ListedDocument]:
    listed = source.list(prefixes)
    return compare(listed, known(names), root=source.root, is_whole=not prefixes)


def unlisted(found: SourceDifference[Any]) -> list[tuple[str, str]]:
    return [(part.document or "", part.code) for part in found.unlisted]


@pytest.mark.parametrize("name", [*_ERRORS, "ENOENT"])
@pytest.mark.parametrize("folder", ["archive", "archive/old", ""])
def test_a_folder_that_can_not_be_listed_hides_its_documents(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, folder: str
) -> None:
    real = os.scandir

    def scandir(opened: int | str) -> Any:
        if is_open(opened, root / folder):
            raise OSError(getattr(errno, name), name)
        return real(opened)

    monkeypatch.setattr(os, "scandir", scandir)
    found = difference(Source.open(str(root)), NAMES)
    assert found.gone == []
    assert unlisted(found) == [(folder, "unlisted")]
    assert name in found.unlisted[0].message


@pytest.mark.parametrize("name", _ERRORS)
def test_an_error_in_the_middle_of_a_folder_hides_its_documents(root: Path, name: str) -> None:
    with listing_that_breaks_off(root / "archive", after=1, name=name):
        found = difference(Source.open(str(root)), NAMES)
    assert found.gone == []
    assert unlisted(found) == [("archive", "unlisted")]


@pytest.mark.parametrize("name", _ERRORS)
def test_a_prefix_that_can_not_be_reached_hides_its_documents(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = os.lstat

    def lstat(path: str, *, dir_fd: int | None = None) -> os.stat_result:
        if Path(path).name == "archive":
            raise OSError(getattr(errno, name), name)
        return real(path, dir_fd=dir_fd)

    source = Source.open(str(root))
    monkeypatch.setattr(os, "lstat", lstat)
    found = difference(source, BELOW, "archive")
    assert found.gone == []
    assert unlisted(found) == [("archive", "unlisted")]


def test_a_folder_that_is_deleted_hides_nothing(root: Path) -> None:
    delete_archive(root)
    source = Source.open(str(root))
    for found in (difference(source, NAMES), difference(source, BELOW, "archive")):
        assert len(found.gone) == 2
        assert found.unlisted == []


def test_a_folder_that_is_deleted_while_the_source_is_listed_hides_nothing(root: Path) -> None:
    listing = Source.open(str(root)).list()
    assert isinstance(next(listing), SourceFile)
    delete_archive(root)
    assert [item for item in listing if isinstance(item, SourceError)] == []


_LISTS = """
import json, os, sys
from tvdb_assets.models import SourceFile
from tvdb_assets.sources.source import Source
os.setgid(65534)
os.setuid(65534)
listed = list(Source.open(sys.argv[1]).list(sys.argv[2:]))
print(json.dumps([i.path if isinstance(i, SourceFile) else [i.document, i.code] for i in listed]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")
@pytest.mark.parametrize(
    ("mode", "closed", "prefixes", "expected"),
    [
        (0o000, "archive", [], [["archive", "unlisted"]]),
        (0o300, "archive", [], [["archive", "unlisted"]]),
        (0o000, "", [], [["", "unlisted"]]),
        (0o000, "archive", ["archive"], [["archive", "unlisted"]]),
        (0o000, "archive", ["archive/old"], [["archive/old", "unlisted"]]),
    ],
)
def test_another_user_who_may_not_list_a_folder(
    mode: int, closed: str, prefixes: list[str], expected: list[list[str]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        create(root)
        for path in (root, *root.rglob("*")):
            os.chown(path, _NOBODY, _NOBODY)
        (root / closed).chmod(mode)
        printed = subprocess.run(
            [sys.executable, "-c", _LISTS, str(root), *prefixes],
            check=True,
            capture_output=True,
            text=True,
        )
        listed = json.loads(printed.stdout)
    assert [item for item in listed if isinstance(item, list)] == expected
    if not prefixes and closed:
        names = [name for name in NAMES if name not in BELOW]
        assert [item for item in listed if isinstance(item, str)] == names


@pytest.fixture
def server() -> Iterator[ListingServer]:
    with ListingServer(pages=[["a.md", "b/c.md"], ["d.md", "e.md"]]) as server:
        yield server


def bucket(server: ListingServer) -> Source:
    store = BucketStore("s3://bucket", "s3")
    store._objects = S3Store(
        "bucket",
        endpoint=server.url,
        region="us-east-1",
        access_key_id="key",
        secret_access_key="secret",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
    )
    return Source("s3://bucket", store)


def test_a_bucket_that_lists_all_of_its_pages_hides_nothing(server: ListingServer) -> None:
    found = difference(bucket(server), ["a.md", "b/c.md", "d.md", "e.md", "gone.md"])
    assert [document.document_id for document in found.gone] == [4]
    assert found.unlisted == []


def test_a_server_that_can_not_list_from_a_name_on_is_not_listed_twice() -> None:
    names = [f"{n:03}.md" for n in range(100)]
    with ListingServer(pages=[[name] for name in names]) as server:
        server.ignores_start = True
        found = difference(bucket(server), [*names, "gone.md"])
        # obstore asks for pages ahead, 50 names at most.
        assert server.requests < 2 * len(names)
    assert [document.document_id for document in found.gone] == [100]
    assert found.unlisted == []


@pytest.mark.parametrize("kind", BREAKS)
def test_a_listing_of_a_bucket_that_breaks_off_hides_all_of_its_documents(
    server: ListingServer, kind: str
) -> None:
    server.breaks = kind
    try:
        found = difference(bucket(server), ["a.md", "b/c.md", "d.md", "e.md"])
    except ConfigurationError as error:
        assert error.code == "source_unusable"
    else:
        assert found.gone == []
        assert unlisted(found) == [("", "unlisted")]


def test_what_was_listed_before_the_break_is_listed() -> None:
    with ListingServer(pages=[[f"{n:03}.md" for n in range(200)], ["last.md"]]) as server:
        server.breaks = "refused"
        listed = list(bucket(server).list())
    # obstore hands out 50 names at a time.
    assert len([item for item in listed if isinstance(item, SourceFile)]) >= 50
    assert [item.code for item in listed if isinstance(item, SourceError)] == ["unlisted"]
