"""The demo's documents in an index, and services that answer questions about them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from starlette.types import ASGIApp

from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets.repositories.database import Database
from tvdb_assets.serve.access import listen
from tvdb_assets.serve.api import create_app
from tvdb_assets.serve.backend import SearchBackend
from tvdb_assets.settings import Settings, load_settings
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

DEMO = Path(__file__).parents[2] / "demo"
DOCUMENTS = DEMO / "documents"
QUESTIONS = {
    "Is flood damage covered?": "policies/homeowners-policy.pdf",
    "What is the windscreen excess?": "policies/motor-policy.pdf",
    "What does endorsement NM-FL 01 change?": "scans/scanned-endorsement.pdf",
    "How soon must I report lost luggage to the airline?": "policies/travel-policy.docx",
}
"""The questions of the demo, and the document that answers each."""


@dataclass(frozen=True)
class Demo:
    """The index of the demo."""

    database: Database
    source: str

    def settings(self, **given: object) -> Settings:
        return load_settings(
            database_url=self.database.url, source=self.source, service_mode="local", **given
        )


@pytest.fixture(scope="session")
def demo(session_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The documents of the demo that its questions ask about, in an index of the local embedder."""
    root = tmp_path_factory.mktemp("demo")
    names = [*QUESTIONS.values(), "policies/commercial-liability-policy.pdf"]
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes((DOCUMENTS / name).read_bytes())
    workers = WorkerPool(workers=2, timeout_seconds=120, memory_mib=1_024, tasks_per_worker=1_000)
    with ExitStack() as stack:
        stack.callback(workers.close)
        folder = DocumentFolder(PaidServicesFixture(session_database, workers), root)
        options = {"service_mode": "local", "chunk_tokens": 512, "chunk_overlap_tokens": 64}
        assert folder.codes(folder.ingest(**options)) == {}
    yield Demo(session_database, str(root))


Serve = Callable[..., str]


class _SharedBackend(SearchBackend):
    """Stays open when one of the services that use it ends."""

    async def aclose(self) -> None:
        """Leave it open."""


@pytest.fixture(scope="session")
def backend(demo: Demo) -> Iterator[SearchBackend]:
    """The index that the services of all tests share, because loading its model takes time."""
    shared = _SharedBackend(demo.settings(), demo.database)
    yield shared
    asyncio.run(SearchBackend.aclose(shared))


@pytest.fixture
def serve(backend: SearchBackend) -> Iterator[Serve]:
    """Starts the HTTP service in this process, and returns its URL."""
    with ExitStack() as stack:

        def start(*, token: str | None = None, hosts: str = "") -> str:
            app = create_app(backend, token=token, hosts=hosts, is_loopback=token is None)
            return stack.enter_context(running(app))

        yield start


@contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """Run an ASGI application on a free port of this machine; yields its URL."""
    listener = listen("127.0.0.1", 0, None)
    config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", lifespan="on")
    started = threading.Event()

    class Starting(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started.set()

    server = Starting(config)
    thread = threading.Thread(target=server.run, args=([listener.socket],), daemon=True)
    thread.start()
    try:
        assert started.wait(60)
        yield listener.url
    finally:
        server.should_exit = True
        thread.join(30)
        listener.socket.close()
        assert not thread.is_alive()
