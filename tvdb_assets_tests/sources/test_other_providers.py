"""Buckets of Google and Azure, where obstore lists: an odd key hides its own folder and no other.

The interface of Google Cloud Storage that obstore uses is that of S3, so that moto serves it too
(gcp-storage-emulator has only the other interface). Azurite is a program of npm, and its tests run
where ``azurite-blob`` is installed.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping

import pytest

from tvdb_assets.errors import SourceError
from tvdb_assets.models import SourceFile
from tvdb_assets.sources.source import Source
from tvdb_assets_tests.sources.azure_requests import put_to_azure
from tvdb_assets_tests.sources.s3_server import running_s3_server

Create = Callable[[str, Mapping[str, bytes]], Source]
ORDINARY = ["a b.md", "d/e.md", "d/f/g.md", "per%20cent.md", "plus+q?x#y.md", "ü/😀.md", "z.md"]


@pytest.fixture(scope="module")
def google() -> Iterator[Create]:
    with running_s3_server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOOGLE_BASE_URL", server.url)
        patch.setenv("GOOGLE_BEARER_TOKEN", "token")
        patch.setenv("GOOGLE_ALLOW_HTTP", "true")

        def create(name: str, objects: Mapping[str, bytes]) -> Source:
            return Source.open(server.create(name, objects).replace("s3://", "gs://"))

        yield create


@pytest.fixture(scope="module")
def azure() -> Iterator[Create]:
    if (program := shutil.which("azurite-blob")) is None:
        pytest.skip("azurite-blob is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "--inMemoryPersistence", "--blobPort", str(port)]
    command += ["--skipApiVersionCheck", "--disableTelemetry"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        try:
            assert server.stdout is not None
            while "successfully listens" not in (line := server.stdout.readline()):
                assert line, "azurite-blob has ended"
            patch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
            patch.setenv("AZURITE_BLOB_STORAGE_URL", f"http://127.0.0.1:{port}")
            patch.setenv("AZURE_ALLOW_HTTP", "true")

            def create(name: str, objects: Mapping[str, bytes]) -> Source:
                put_to_azure(port, name, objects)
                return Source.open(f"az://{name}")

            yield create
        finally:
            server.terminate()


@pytest.fixture(params=["google", "azure"])
def create(request: pytest.FixtureRequest) -> Create:
    found: Create = request.getfixturevalue(request.param)
    return found


def test_ordinary_keys_are_listed_and_read(create: Create) -> None:
    source = create("ordinary", {key: key.encode() for key in ORDINARY})
    listed = list(source.list())
    assert [file.path for file in listed if isinstance(file, SourceFile)] == sorted(ORDINARY)
    for file in listed:
        assert isinstance(file, SourceFile)
        found, data = source.fetch(file.path, max_bytes=100)
        assert (found.etag, found.size, data) == (file.etag, file.size, file.path.encode())
    for key in ORDINARY:
        rest = [e.path for p in source.pages(key) for e in p.entries if isinstance(e, SourceFile)]
        assert rest == [path for path in sorted(ORDINARY) if path > key]


@pytest.mark.parametrize(
    ("odd", "folder"), [("d//x.md", "d"), ("d/f/t\t.md", "d/f"), ("//x.md", ""), ("t\t.md", "")]
)
def test_an_odd_key_hides_its_folder_alone(create: Create, odd: str, folder: str) -> None:
    name = "odd" + "".join(f"{ord(character):x}" for character in odd)
    source = create(name, dict.fromkeys([*ORDINARY, odd], b"text"))
    below = f"{folder}/" if folder else ""
    whole: list[SourceFile | SourceError] = list(source.list())
    assert [(e.code, e.document) for e in whole if isinstance(e, SourceError)] == [
        ("unlisted", folder)
    ]
    hidden = [key for key in ORDINARY if key.startswith(below)]
    listed = {file.path for file in whole if isinstance(file, SourceFile)}
    assert set(ORDINARY) - set(hidden) <= listed <= set(ORDINARY)


def test_a_missing_object_has_vanished(create: Create) -> None:
    source = create("missing", {"a.md": b"text"})
    with pytest.raises(SourceError) as caught:
        source.fetch("gone.md", max_bytes=10)
    assert caught.value.code == "vanished"
