"""The MCP server, used by a client of another package, on stdio and over HTTP."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from fastmcp.exceptions import ToolError

from tvdb_assets.serve.backend import SearchBackend
from tvdb_assets.serve.mcp_server import create_app
from tvdb_assets_tests.serve.conftest import QUESTIONS, Demo, running

TVDB = str(Path(sys.executable).with_name("tvdb"))
TOKEN = "a-token-of-the-tests-0123456789"


async def answers(client: Client[Any]) -> dict[str, str]:
    found = {}
    for question in QUESTIONS:
        result = await client.call_tool("search", {"question": question, "k": 1})
        assert result.structured_content is not None
        found[question] = result.structured_content["hits"][0]["document"]
    return found


def test_a_client_on_stdio_gets_answers_and_reads_documents(demo: Demo, tmp_path: Path) -> None:
    environment = {
        "TVDB_DATABASE_URL": demo.database.url,
        "TVDB_SOURCE": demo.source,
        "PATH": "/usr/bin:/bin",
    }

    async def use() -> None:
        transport = StdioTransport(TVDB, ["mcp"], env=environment, cwd=str(tmp_path))
        async with Client(transport) as client:
            assert {tool.name for tool in await client.list_tools()} == {
                "search", "show", "list_sources",
            }  # fmt: skip
            assert await answers(client) == QUESTIONS
            sources = await client.call_tool("list_sources")
            assert sources.structured_content is not None
            assert sources.structured_content["sources"][0]["searched_documents"] == 5
            read = await client.call_tool(
                "show",
                {"document": "policies/homeowners-policy.pdf", "page": 3, "max_characters": 40},
            )
            assert read.structured_content is not None
            assert len(read.structured_content["text"]) == 40
            with pytest.raises(ToolError, match="document_unknown"):
                await client.call_tool("show", {"document": "nothing.pdf"})
            with pytest.raises(ToolError):
                await client.call_tool("search", {"question": "", "k": 1_000})

    asyncio.run(use())


def test_stdout_carries_the_protocol_alone(demo: Demo, tmp_path: Path) -> None:
    requests = [
        {"id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"}}},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {
            "name": "search", "arguments": {"question": "Is flood damage covered?", "k": 1}}},
        {"id": 3, "method": "tools/call", "params": {"name": "show", "arguments": {}}},
    ]  # fmt: skip
    server = subprocess.Popen(
        [TVDB, "mcp"],
        cwd=tmp_path,
        env={"TVDB_DATABASE_URL": demo.database.url, "TVDB_LOG_FORMAT": "json", "PATH": "/bin"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    lines = []
    try:
        for request in requests:
            server.stdin.write(json.dumps({"jsonrpc": "2.0", **request}) + "\n")
            server.stdin.flush()
            if "id" in request:
                lines.append(server.stdout.readline())
    finally:
        rest, _ = server.communicate(timeout=60)
    messages = [json.loads(line) for line in (*lines, *rest.splitlines())]
    assert all(message["jsonrpc"] == "2.0" for message in messages)
    assert {message["id"] for message in messages if "id" in message} == {1, 2, 3}
    assert server.returncode == 0


def test_a_client_over_http_needs_the_token_and_gets_answers(backend: SearchBackend) -> None:
    async def use(url: str, token: str) -> dict[str, str]:
        transport = StreamableHttpTransport(url, headers={"Authorization": f"Bearer {token}"})
        async with Client(transport) as client:
            return await answers(client)

    with running(create_app(backend, token=TOKEN, is_loopback=False)) as url:
        assert asyncio.run(use(f"{url}/mcp", TOKEN)) == QUESTIONS
        assert httpx2.post(f"{url}/mcp", json={}).status_code == 401


def test_a_page_of_another_site_can_not_use_the_server(backend: SearchBackend) -> None:
    with running(create_app(backend, token=None)) as url:
        for headers in ({"host": "attacker.example"}, {"origin": "http://attacker.example"}):
            assert httpx2.post(f"{url}/mcp", json={}, headers=headers).status_code == 403


def test_without_the_extra_the_command_names_the_line_to_install_it(tmp_path: Path) -> None:
    without = (
        "import sys; sys.modules['mcp'] = None; sys.argv = ['tvdb', 'mcp'];"
        "from tvdb_assets.cli import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", without], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert "pip install 'tvdb-assets[mcp]'" in result.stderr
