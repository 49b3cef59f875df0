"""Which requests the UI of `tvdb dev` answers, by their headers alone and by the real server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tvdb_assets.dagster.ui_requests import RequestGuard
from tvdb_assets.repositories.database import Database

_JSON = {"content-type": "application/json"}
_MUTATION = "query=mutation+{+x+}"
_OWN = "localhost:3000"


async def _no_app(*_: Any) -> None:
    raise AssertionError("only headers are compared")


def _refusal(
    method: str = "GET",
    path: str = "/",
    query: str = "",
    kind: str = "http",
    hosts: tuple[str, ...] = (),
    **headers: str,
) -> str | None:
    named = {"host": _OWN, **{name.replace("_", "-"): text for name, text in headers.items()}}
    return RequestGuard(_no_app, hosts).refusal(
        {
            "type": kind,
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in named.items() if v],
        }
    )


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:3000", "[::1]:3000"])
def test_names_of_this_machine_are_answered(host: str) -> None:
    assert _refusal(host=host) is None
    assert _refusal(host=host, origin=f"http://{host.lower()}") is None


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "127.0.0.1.nip.io:3000", "evil@localhost",
     "localhost:3000@evil.example", "localhost/", "localhost:x", "0.0.0.0:3000", "192.168.1.2",
     "\xe9vil", "localhost\tx", "127.0.0.2"],
)  # fmt: skip
def test_other_names_are_refused(host: str) -> None:
    assert "TVDB_UI_HOSTS" in (_refusal(host=host) or "")
    assert _refusal(host=host, kind="websocket") is not None


@pytest.mark.parametrize(
    "origin",
    ["null", "https://evil.example", "http://localhost:3001", "http://127.0.0.1:3000", "localhost",
     "file://", "http://localhost:3000.evil.example", "chrome-extension://abc", "http://[::1",
     "http://evil@localhost:3000"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_other_origins_are_refused(origin: str, kind: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        assert _refusal(method, "/graphql", kind=kind, origin=origin, **_JSON) is not None


def test_a_proxy_that_is_named_is_answered() -> None:
    proxy = {"hosts": ("docs.example",)}
    origin = "https://docs.example"
    assert _refusal(host="docs.example", origin=origin, **proxy) is None  # type: ignore[arg-type]
    # A proxy that replaces Host by the address it connects to.
    assert _refusal(host="127.0.0.1:3000", origin=origin, **proxy) is None  # type: ignore[arg-type]
    assert _refusal(host="other.example", **proxy) is not None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("site", "mode", "dest", "is_answered"),
    [
        ("same-origin", "cors", "empty", True),
        ("none", "navigate", "document", True),
        ("cross-site", "navigate", "document", True),
        ("cross-site", "navigate", "iframe", False),
        ("cross-site", "no-cors", "image", False),
        ("same-site", "cors", "empty", False),
    ],
)
def test_a_page_of_another_site_may_link_to_the_ui_and_no_more(
    site: str, mode: str, dest: str, is_answered: bool
) -> None:
    found = _refusal(sec_fetch_site=site, sec_fetch_mode=mode, sec_fetch_dest=dest)
    assert (found is None) is is_answered


@pytest.mark.parametrize(
    ("method", "query", "content_type", "is_answered"),
    [
        ("POST", "", "application/json", True),
        ("POST", "", "application/json; charset=utf-8", True),
        ("POST", _MUTATION, "", False),
        ("POST", _MUTATION, "application/x-www-form-urlencoded", False),
        ("POST", "", "text/plain", False),
        ("POST", "", "text/plain; x=application/json", False),
        ("POST", "", "multipart/form-data; boundary=application/json", False),
        ("GET", "query={version}", "", True),
        ("GET", "", "", True),
        ("GET", _MUTATION, "", False),
        ("HEAD", _MUTATION, "", False),
        ("GET", "query={version}&" + _MUTATION, "", False),
        ("GET", "query=query+a{version}+mutation+b{x}&operationName=a", "", False),
        ("GET", "query=subscription{x}", "", False),
        ("GET", "query=%23c%0Amutation{x}", "", False),
        ("GET", "query=" + "{a" * 5_000, "", False),
    ],
)
@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/prefix/graphql"])
def test_nothing_is_changed_by_a_request_that_any_page_can_send(
    path: str, method: str, query: str, content_type: str, is_answered: bool
) -> None:
    found = _refusal(method, path, query, content_type=content_type)
    assert (found is None) is is_answered, found


def test_a_repeated_header_is_refused() -> None:
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b""}
    headers = [(b"host", b"localhost"), (b"Host", b"evil.example")]
    assert RequestGuard(_no_app).refusal({**scope, "headers": headers}) is not None


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def dev(
    shared_database: Database, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[bytes]]:
    """`tvdb dev`, started as the background job of a script, in a folder with hostile files."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "documents").mkdir()
    for name in ("yaml.py", "graphql.py", "tvdb_assets.py"):
        (folder / name).write_text("raise SystemExit('code of the working folder ran')", "utf-8")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TVDB_", "DAGSTER"))}
    environment = inherited | {
        "DAGSTER_HOME": str(folder / "home"),
        "TVDB_DATABASE_URL": shared_database.url,
        "TVDB_INTAKE_SECONDS": "0",
    }
    command = str(Path(sys.executable).with_name("tvdb"))
    with (folder / "output").open("wb") as output:
        # A shell without job control starts a background job in this way.
        process = subprocess.Popen(
            ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", command, "dev", "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + 120
            while not _answers(port):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.2)
                    pytest.fail((folder / "output").read_text())
                assert time.monotonic() < deadline, (folder / "output").read_text()
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/server_info", timeout=5).is_success
    except httpx2.HTTPError:
        return False


def _raw(port: int, *lines: str) -> str:
    """Send a request byte by byte as written; returns the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        return b"".join(iter(lambda: connection.recv(65_536), b"")).decode(errors="replace")


def _websocket(port: int, **options: Any) -> Any:
    protocols = [Subprotocol("graphql-ws")]
    return connect(f"ws://localhost:{port}/graphql", subprotocols=protocols, **options)


def test_the_real_server_answers_its_own_page_alone(
    dev: subprocess.Popen[bytes], port: int
) -> None:
    url = f"http://localhost:{port}"
    page = httpx2.get(url)
    assert page.status_code == 200
    assert page.headers["x-frame-options"] == "SAMEORIGIN"
    query = {"query": "{ version }"}
    assert httpx2.post(f"{url}/graphql", json=query, headers={"origin": url}).json()["data"]
    for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
        assert httpx2.post(f"{url}/graphql", json=query, headers=headers).status_code == 403
    mutation = "mutation { setNuxSeen }"
    assert httpx2.get(f"{url}/graphql", params={"query": mutation}).status_code == 403
    assert httpx2.post(f"{url}/graphql", data={"query": mutation}).status_code == 403
    assert " 403 " in _raw(port, "GET / HTTP/1.1", "Host: evil.example")
    assert " 403 " in _raw(port, "GET / HTTP/1.0")
    assert " 403 " in _raw(port, "GET / HTTP/1.1", "Host: localhost", "Host: evil.example")
    assert " 403 " in _raw(port, "GET http://localhost/ HTTP/1.1", "Host: evil.example")


def test_the_real_server_accepts_its_own_websocket_alone(
    dev: subprocess.Popen[bytes], port: int
) -> None:
    with _websocket(port, origin=f"http://localhost:{port}") as own:
        own.send(json.dumps({"type": "connection_init"}))
        assert json.loads(own.recv())["type"] == "connection_ack"
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": f"http://127.0.0.1:{port}"},
        {"additional_headers": {"sec-fetch-site": "cross-site"}},
    ):
        with pytest.raises(InvalidStatus) as refused, _websocket(port, **headers):
            pass
        assert refused.value.response.status_code == 403


def test_sigterm_ends_a_background_job_and_its_children(
    dev: subprocess.Popen[bytes], port: int
) -> None:
    children = psutil.Process(dev.pid).children(recursive=True)
    assert len(children) >= 3  # the UI, the daemon, the code server
    dev.terminate()
    dev.wait(timeout=60)
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    assert not _answers(port)
