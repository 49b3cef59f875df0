"""What only the socket, or only a separate process, can get wrong."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from threading import active_count
from typing import Any

import httpx2
import pytest

from tvdb_assets_tests.paid_apis import Behaviour, PaidApis, PaidApisTransport, running_server
from tvdb_assets_tests.paid_apis_tests.clients import MODEL, simulated_server

ASK = json.dumps({"model": MODEL, "input": "a", "encoding_format": "base64"}).encode()
HEAD = b"POST /v1/embeddings HTTP/1.1\r\nauthorization: Bearer k\r\n"


def exchange(url: str, *pieces: bytes) -> bytes:
    """Send pieces, each once the one before was taken, and read until the server ends."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_requests_may_come_in_pieces_and_in_a_row() -> None:
    whole = HEAD + b"content-length: %d\r\n\r\n" % len(ASK) + ASK
    last = whole.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    with running_server() as server:
        answers = exchange(server.url, whole[:40], whole[40:90], whole[90:] + whole + last)
        assert answers.count(b"HTTP/1.1 200 OK") == 3
        assert len(server.apis.charges) == 3


def test_chunked_bodies_are_read() -> None:
    chunks = b"%x\r\n%b\r\n%x;note=1\r\n%b\r\n0\r\n\r\n" % (9, ASK[:9], len(ASK) - 9, ASK[9:])
    head = HEAD + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    with running_server() as server:
        assert b"HTTP/1.1 200 OK" in exchange(server.url, head + chunks[:20], chunks[20:])


def test_who_waits_to_send_is_told_to_go_on() -> None:
    head = HEAD + b"expect: 100-continue\r\nconnection: close\r\n"
    head += b"content-length: %d\r\n\r\n" % len(ASK)
    with running_server() as server:
        answer = exchange(server.url, head, ASK)
        assert answer.endswith(b"}\n")


@pytest.mark.parametrize("bad", [b"nonsense\r\n\r\n", HEAD + b"content-length: x\r\n\r\n"])
def test_what_is_not_http_is_refused(bad: bytes) -> None:
    with running_server() as server:
        assert exchange(server.url, bad).startswith(b"HTTP/1.1 400")


def test_a_reset_is_a_reset() -> None:
    with running_server() as server:
        server.apis.faults.script("reset_before_work")
        with pytest.raises(ConnectionResetError):
            exchange(server.url, HEAD + b"content-length: %d\r\n\r\n" % len(ASK) + ASK)


def test_many_clients_at_once() -> None:
    async def run(url: str) -> list[int]:
        async with httpx2.AsyncClient(
            base_url=url, headers={"authorization": "Bearer k"}
        ) as client:
            calls = [client.post("/v1/embeddings", content=ASK) for _ in range(200)]
            return [answer.status_code for answer in await asyncio.gather(*calls)]

    with running_server(Behaviour(latency_seconds=0.02)) as server:
        assert asyncio.run(run(server.url)) == [200] * 200
        assert len(server.apis.charges) == 200


def test_a_server_leaves_nothing_behind() -> None:
    before = active_count()
    with running_server() as server:
        url = server.url
    assert active_count() == before
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(url)


@pytest.mark.parametrize("kind", ["socket", "in process"])
def test_the_answer_to_a_client_that_left_is_lost(kind: str) -> None:
    async def leave() -> None:
        async with paid.http() as client:
            sending = client.post(
                "/v1/embeddings", content=ASK, headers={"authorization": "Bearer k"}
            )
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(sending, 0.05)

    with simulated_server(kind, Behaviour(latency_seconds=10)) as paid:
        asyncio.run(leave())
    (charge,) = paid.apis.charges
    assert not charge.answered


def test_time_in_process_is_the_loops() -> None:
    """An hour passes at once on a loop whose clock is moved by hand."""

    class Hurried(asyncio.SelectorEventLoop):
        ahead = 0.0

        def time(self) -> float:
            return super().time() + self.ahead

        def call_at(self, when: float, *args: Any, **more: Any) -> asyncio.TimerHandle:
            self.ahead += max(0.0, when - self.time())
            return super().call_at(when, *args, **more)

    async def ask() -> int:
        transport = PaidApisTransport(PaidApis(Behaviour(latency_seconds=3_600)))
        async with httpx2.AsyncClient(transport=transport, timeout=None) as client:
            headers = {"authorization": "Bearer k"}
            answer = await client.post("http://x/v1/embeddings", content=ASK, headers=headers)
            return answer.status_code

    with asyncio.Runner(loop_factory=Hurried) as runner:
        assert runner.run(ask()) == 200


def test_a_streamed_upload_reaches_the_stand_in() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield ASK[:5]
        yield ASK[5:]

    async def ask() -> int:
        async with paid.http() as client:
            headers = {"authorization": "Bearer k"}
            return (await client.post("/embeddings", content=pieces(), headers=headers)).status_code

    for kind in ("socket", "in process"):
        with simulated_server(kind) as paid:
            assert asyncio.run(ask()) == 200


@pytest.fixture(scope="module")
def process() -> Iterator[str]:
    command = [sys.executable, "-m", "tvdb_assets_tests.paid_apis", "--per-input-ms", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        yield running.stdout.readline().split()[1]
        running.terminate()
    assert running.returncode == 0


def test_a_process_of_its_own_is_steered_over_its_port(process: str) -> None:
    with httpx2.Client(base_url=process, headers={"authorization": "Bearer k"}) as client:
        assert client.post("/_reset", json={"latency_seconds": 0.01}).status_code == 200
        script = [{"kind": "server_error", "times": 1}, {"kind": "refused_text", "marker": "BAD"}]
        rates = [{"operation": "poll", "rates": {"server_error": 1.0}}]
        assert client.post("/_faults", json={"script": script, "rates": rates}).is_success
        statuses = [client.post("/v1/embeddings", content=ASK).status_code for _ in range(2)]
        assert statuses == [500, 200]
        assert client.get("/api/v2/parse/pjb-none").status_code == 500
        log = client.get("/_log").json()
        assert (log["counters"]["tokens"], log["counters"]["dollars"]) == (1, "2E-8")
        assert [charge["dollars"] for charge in log["charges"]] == ["2E-8"]
        assert [request["status"] for request in log["requests"]] == [500, 200, 500]
        assert client.post("/_faults", json={"clear": True}).is_success
        assert client.get("/api/v2/parse/pjb-none").status_code == 404
        assert client.post("/_reset").is_success
        assert client.get("/_log").json()["counters"]["requests"] == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/_faults", {"scripts": []}),
        ("/_faults", {"script": [{"kind": "no such"}]}),
        ("/_faults", {"script": [{"name": "slow"}]}),
        ("/_faults", []),
        ("/_reset", {"speed": 3}),
    ],
)
def test_steering_wrongly_is_refused(process: str, path: str, body: object) -> None:
    answer = httpx2.post(process + path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]
