"""A bucket as a source, on the in-memory store of obstore: no request leaves the process."""

from __future__ import annotations

from pathlib import Path

import obstore
import pytest
from obstore.store import LocalStore, MemoryStore

from tvdb_assets.errors import ConfigurationError, SourceError
from tvdb_assets.models import SourceFile
from tvdb_assets.sources.bucket import BucketStore
from tvdb_assets.sources.source import Source
from tvdb_assets.sources.source_store import ListedPage

_URL = "s3://bucket/prefix"


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def bucket(objects: MemoryStore) -> Source:
    store = BucketStore(_URL, "s3")
    store._objects = objects
    return Source(_URL, store)


def _paths(bucket: Source, *prefixes: str) -> list[str]:
    return [item.path for item in bucket.list(prefixes) if isinstance(item, SourceFile)]


def test_objects_are_listed_with_size_and_etag(objects: MemoryStore, bucket: Source) -> None:
    for name in ("b.md", "a/c.md", "ä.md"):
        obstore.put(objects, name, name.encode())
    listed = [item for item in bucket.list() if isinstance(item, SourceFile)]
    assert sorted((file.path, file.size) for file in listed) == [
        ("a/c.md", 6),
        ("b.md", 4),
        ("ä.md", 5),
    ]
    assert all(file.etag and '"' not in file.etag for file in listed)
    for file in listed:
        assert bucket.stat(file.path) == file
        assert bucket.read(file.path, max_bytes=6) == file.path.encode()


def test_a_prefix_is_a_folder_or_an_object(objects: MemoryStore, bucket: Source) -> None:
    for name in ("a/1", "a/b/2", "ab/3", "c"):
        obstore.put(objects, name, b"text")
    assert sorted(_paths(bucket, "a")) == ["a/1", "a/b/2"]
    assert _paths(bucket, "c") == ["c"]
    assert _paths(bucket, "nothing") == []


def test_ignored_names_are_not_listed(objects: MemoryStore, bucket: Source) -> None:
    for name in (".git/config", "a/.x", "~$report.docx", "Thumbs.db", "a.md"):
        obstore.put(objects, name, b"text")
    assert _paths(bucket) == ["a.md"]


def test_the_etag_changes_with_the_bytes(objects: MemoryStore, bucket: Source) -> None:
    obstore.put(objects, "a.md", b"one")
    before = bucket.stat("a.md").etag
    obstore.put(objects, "a.md", b"two")
    assert bucket.stat("a.md").etag != before


def test_a_missing_and_a_large_object_are_refused(objects: MemoryStore, bucket: Source) -> None:
    obstore.put(objects, "large", b"12345")
    for path, code in (("gone.md", "vanished"), ("large", "too_large")):
        with pytest.raises(SourceError) as caught:
            bucket.read(path, max_bytes=4)
        assert (caught.value.code, caught.value.document) == (code, path)
    with pytest.raises(SourceError) as caught:
        bucket.stat("gone.md")
    assert caught.value.code == "vanished"


def test_an_error_of_the_store_is_a_read_error(tmp_path: Path) -> None:
    """The store refuses a path that can't be a name of an object."""
    store = BucketStore(_URL, "s3")
    store._objects = LocalStore(tmp_path)
    for call in (lambda: store.read("a//b", 10), lambda: store.stat("a//b")):
        with pytest.raises(SourceError) as caught:
            call()
        assert caught.value.code == "read_failed"


def test_a_url_without_a_bucket_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Source.open("s3://")
    assert caught.value.code == "source_unusable"


def test_pages_continue_after_any_of_their_positions(
    objects: MemoryStore, bucket: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tvdb_assets.sources.bucket._PAGE_OBJECTS", 2)
    names = sorted(["a-b/c", "a.md", "a/b.md", "a/c/d", ".git/x", "ab", "z/.y", "ä"])
    for name in names:
        obstore.put(objects, name, b"text")
    whole = list(bucket.pages())
    listed = _paths_of(whole)
    assert listed == [name for name in names if name not in (".git/x", "z/.y")]
    for page in whole:
        rest = _paths_of(list(bucket.pages(page.position)))
        assert rest == [path for path in listed if path > page.position]


def _paths_of(pages: list[ListedPage]) -> list[str]:
    return [e.path for page in pages for e in page.entries if isinstance(e, SourceFile)]
