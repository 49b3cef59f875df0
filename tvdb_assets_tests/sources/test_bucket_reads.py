"""Reads of a bucket over HTTP: how many at the same time, and what ends one that does not end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tvdb_assets.errors import Disposition, SourceError
from tvdb_assets.models import SourceFile
from tvdb_assets.sources.bucket import MAX_RETRIES, READS_IN_FLIGHT
from tvdb_assets.sources.source import Source
from tvdb_assets_tests.sources.object_server import BODY, ObjectServer

_TIMEOUT_SECONDS = 0.8
pytestmark = pytest.mark.timeout(30)
Started = Callable[..., tuple[ObjectServer, Source]]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    with ExitStack() as servers:

        def started(*, seconds: float = 60.0, **options: int) -> tuple[ObjectServer, Source]:
            server = servers.enter_context(ObjectServer(**options))
            for name, value in (
                ("AWS_ACCESS_KEY_ID", "key"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ENDPOINT_URL", server.url),
                ("AWS_ALLOW_HTTP", "true"),
            ):
                monkeypatch.setenv(name, value)
            return server, Source.open("s3://bucket", seconds)

        yield started


def _read(source: Source, *paths: str) -> list[bytes | str]:
    found = source.fetch_all(paths, max_bytes=1_000)
    return [entry.code if isinstance(entry, SourceError) else entry[1] for entry in found]


def test_a_small_object_is_one_request(start: Started) -> None:
    server, source = start()
    for path in ("a.md", "b//c.md"):
        file, data = source.fetch(path, max_bytes=1_000)
        assert file == SourceFile(path, len(BODY), "e", modified_at=1_767_225_600.0)
        assert data == BODY
    assert server.requests == {"GET a.md": 1, "GET c.md": 1}


def test_as_many_objects_are_read_at_the_same_time(start: Started) -> None:
    """No request is answered before all of them wait."""
    assert READS_IN_FLIGHT >= 32
    _, source = start(gathered=READS_IN_FLIGHT)
    paths = [f"{n}.md" for n in range(2 * READS_IN_FLIGHT)]
    assert _read(source, *paths) == [BODY] * len(paths)


@pytest.mark.parametrize("name", ["stall", "half", "trickle", "a//stall", "a//half"])
def test_an_object_that_does_not_come_fails_alone(start: Started, name: str) -> None:
    server, source = start(seconds=_TIMEOUT_SECONDS)
    assert _read(source, "a.md", name, "z.md") == [BODY, "read_stalled", BODY]
    assert server.requests[f"GET {name.rpartition('/')[2]}"] <= MAX_RETRIES + 1


@pytest.mark.parametrize("name", ["status-500", "status-503", "a//status-503"])
def test_a_server_error_is_repeated_a_few_times(start: Started, name: str) -> None:
    server, source = start(seconds=30.0)
    with pytest.raises(SourceError) as caught:
        source.fetch(name, max_bytes=1_000)
    assert caught.value.code == "read_failed"
    assert caught.value.disposition is Disposition.TRANSIENT
    assert server.requests[f"GET {name.rpartition('/')[2]}"] == MAX_RETRIES + 1


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("status-401", "unreadable"),
        ("status-403", "unreadable"),
        ("a//status-403", "unreadable"),
        ("status-404", "vanished"),
        ("a//status-404", "vanished"),
    ],
)
def test_a_refusal_is_not_repeated(start: Started, name: str, code: str) -> None:
    server, source = start()
    assert _read(source, "a.md", name) == [BODY, code]
    with pytest.raises(SourceError) as caught:
        source.stat(name)
    assert (caught.value.code, caught.value.document) == (code, name)
    assert server.requests[f"GET {name.rpartition('/')[2]}"] == 1


def test_a_bucket_that_does_not_answer_a_listing_is_given_up(start: Started) -> None:
    _, source = start(seconds=_TIMEOUT_SECONDS, gathered=1_000)
    with pytest.raises(Exception, match="source_unusable"):
        list(source.list())
