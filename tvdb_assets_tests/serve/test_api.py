"""The HTTP service: answers, bounds, errors, access, and what it never does."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import psycopg
import pytest

from tvdb_assets.errors import ConfigurationError
from tvdb_assets.repositories.database import Database
from tvdb_assets.serve.access import Token, listen
from tvdb_assets_tests.serve.conftest import QUESTIONS, Demo, Serve

TOKEN = "a-token-of-the-tests-0123456789"
TVDB = str(Path(sys.executable).with_name("tvdb"))


@pytest.mark.parametrize(("question", "document"), QUESTIONS.items())
def test_the_service_answers_the_questions_of_the_demo(
    serve: Serve, question: str, document: str
) -> None:
    with httpx2.Client(timeout=60, base_url=serve()) as client:
        posted = client.post("/v1/search", json={"question": question, "k": 3}).json()
        by_address = client.get("/v1/search", params={"q": question, "k": 3}).json()

    assert posted["hits"][0]["document"] == document
    assert by_address["hits"] == posted["hits"]
    assert len(posted["hits"]) == 3
    assert posted["is_confident"]


def test_the_description_names_every_route_and_its_page_needs_no_other_site(serve: Serve) -> None:
    with httpx2.Client(timeout=60, base_url=serve()) as client:
        described = client.get("/openapi.json").json()
        page = client.get("/docs")
        scripts = [
            client.get(path).status_code
            for path in ("/static/swagger/swagger-ui-bundle.js", "/static/docs.js")
        ]

    assert set(described["paths"]) == {
        "/v1/search",
        "/v1/show",
        "/v1/sources",
        "/health",
        "/metrics",
    }
    question = described["components"]["schemas"]["SearchRequest"]["properties"]
    assert question["question"]["maxLength"] == 2_000
    assert question["k"]["maximum"] == 100
    assert (page.status_code, scripts) == (200, [200, 200])
    assert "http" not in page.text.replace("http-equiv", "")


def test_a_document_and_its_pages_are_shown(serve: Serve, demo: Demo) -> None:
    with httpx2.Client(timeout=60, base_url=serve()) as client:
        name = "policies/homeowners-policy.pdf"
        whole = client.get("/v1/show", params={"document": name}).json()
        page = client.get("/v1/show", params={"document": name, "page": 3}).json()
        sources = client.get("/v1/sources").json()["sources"]
        missing = client.get("/v1/show", params={"document": "../etc/passwd"})

    assert (whole["page_count"], whole["is_searched"], page["page"]) == (8, True, 3)
    assert page["text"] == whole["text"][page["start"] : page["end"]]
    assert [(s["source"], s["searched_documents"]) for s in sources] == [(demo.source, 5)]
    assert (missing.status_code, missing.json()["code"]) == (404, "document_unknown")


def test_filters_restrict_a_search(serve: Serve, demo: Demo) -> None:
    with httpx2.Client(timeout=60, base_url=serve()) as client:
        found = client.get(
            "/v1/search", params={"q": "damage", "path": "scans/", "source": demo.source}
        ).json()
    assert {hit["document"] for hit in found["hits"]} == {"scans/scanned-endorsement.pdf"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"question": ""},
        {"question": "x" * 2_001},
        {"question": "x", "k": 0},
        {"question": "x", "k": 101},
        {"question": "x", "min_score": 2},
        {"question": "x", "unknown": 1},
        {"question": "x", "filters": {"modified_from": "yesterday"}},
        {"question": ["x"]},
    ],
)
def test_a_request_out_of_bounds_is_a_problem_with_a_code(
    serve: Serve, body: dict[str, object]
) -> None:
    response = httpx2.post(serve() + "/v1/search", json=body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] == "request_invalid"
    assert problem["run_id"] == response.headers["x-request-id"]
    assert "xxxx" not in response.text


def test_a_body_that_is_too_long_is_refused_before_it_is_read(serve: Serve) -> None:
    response = httpx2.post(serve() + "/v1/search", content=b"x" * 70_000)
    assert (response.status_code, response.json()["code"]) == (413, "request_invalid")


def test_an_unknown_address_is_a_problem(serve: Serve) -> None:
    with httpx2.Client(timeout=60, base_url=serve()) as client:
        assert client.get("/v2/search").json()["code"] == "address_unknown"
        assert client.delete("/v1/sources", headers={"content-length": "0"}).status_code == 405


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "attacker.example"},
        {"host": "127.0.0.1.attacker.example"},
        {"origin": "http://attacker.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ],
)
def test_a_page_of_another_site_gets_no_answer(serve: Serve, headers: dict[str, str]) -> None:
    response = httpx2.get(serve() + "/v1/sources", headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, "request_foreign")


def test_a_name_of_a_proxy_is_accepted_if_it_is_in_the_settings(serve: Serve) -> None:
    url = serve(hosts="search.example")
    headers = {"host": "search.example", "origin": "https://search.example"}
    assert httpx2.get(url + "/v1/sources", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "authorization", [None, "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer", f"Bearer {TOKEN}x"]
)
def test_a_request_without_the_token_is_refused(serve: Serve, authorization: str | None) -> None:
    headers = {"authorization": authorization} if authorization else {}
    with httpx2.Client(timeout=60, base_url=serve(token=TOKEN), headers=headers) as client:
        refused = [client.get(path) for path in ("/v1/sources", "/metrics", "/openapi.json")]
        refused.append(client.post("/v1/search", json={"question": "x"}))
        health = client.get("/health")
    for response in refused:
        assert (response.status_code, response.json()["code"]) == (401, "token_wrong")
        assert response.headers["www-authenticate"] == "Bearer"
    assert health.json() == {"status": "ok"}


def test_a_request_with_the_token_is_answered(serve: Serve) -> None:
    response = httpx2.get(
        serve(token=TOKEN) + "/v1/sources", headers={"authorization": f"Bearer {TOKEN}"}
    )
    assert response.status_code == 200


def test_a_session_ends_and_can_not_be_forged() -> None:
    token = Token(TOKEN)
    session = token.new_session()
    until, _, signature = session.partition(".")
    assert token.is_session(session)
    for forged in ("", ".", f"{int(until) + 1}.{signature}", f"9{session}", f"{until}.é", "1.2"):
        assert not token.is_session(forged)
    assert not Token(TOKEN + "x").is_session(session)
    past = "1000000000"
    assert not token.is_session(f"{past}.{token._signature(past)}")


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "0", "::ffff:0.0.0.0"])
def test_no_address_that_others_reach_is_bound_without_a_token(host: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        listen(host, 0, None)
    assert caught.value.code == "token_required"
    with listen(host, 0, TOKEN).socket:
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", "127.1"])
def test_a_loopback_address_needs_no_token(host: str) -> None:
    with listen(host, 0, None).socket as bound:
        assert bound.getsockname()[0].startswith("127.") or bound.getsockname()[0] == "::1"


def test_an_address_that_can_not_be_bound_is_reported(serve: Serve) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for host, port in (("127.0.0.1", taken.getsockname()[1]), ("no-such-host.invalid", 1)):
            with pytest.raises(ConfigurationError) as caught:
                listen(host, port, TOKEN)
            assert caught.value.code == "address_unusable"


def test_the_log_has_no_question_no_text_and_no_token(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx2.Client(timeout=60, base_url=serve(token=TOKEN), headers=headers) as client:
        client.get("/v1/search", params={"q": "zanzibar flood"})
        client.post("/v1/search", json={"question": "zanzibar flood"})
        client.get("/", params={"q": "zanzibar"})
        client.get("/v1/show", params={"document": "zanzibar.pdf"})
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith(("httpx", "httpcore"))]
    assert sum("http_request" in line for line in ours) == 4
    assert not [line for line in ours if "zanzibar" in line or "flood" in line or TOKEN in line]


def test_metrics_count_requests_and_searches(serve: Serve) -> None:
    with httpx2.Client(timeout=60, base_url=serve()) as client:
        client.post("/v1/search", json={"question": "Is flood damage covered?"})
        client.get("/v1/show", params={"document": "nothing"})
        text = client.get("/metrics").text
    assert 'tvdb_http_requests_total{method="POST",route="/v1/search",status="200"} 1.0' in text
    assert 'tvdb_http_requests_total{method="GET",route="/v1/show",status="404"} 1.0' in text
    assert "tvdb_index_documents 5.0" in text
    assert "tvdb_search_cost_usd_total 0.0" in text


def test_many_questions_use_one_connection_to_the_service_and_few_to_the_database(
    serve: Serve, demo: Demo, is_full: bool
) -> None:
    backends = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    seen: set[int] = set()
    count = 1_000 if is_full else 100
    with (
        httpx2.Client(
            timeout=60, base_url=serve(), limits=httpx2.Limits(max_connections=1)
        ) as client,
        psycopg.connect(demo.database.url, autocommit=True) as watcher,
    ):
        for number in range(count):
            response = client.post("/v1/search", json={"question": f"flood {number}", "k": 1})
            assert response.status_code == 200
            if number % 20 == 0:
                row = watcher.execute(backends).fetchone()
                assert row is not None
                seen.add(row[0])
    assert max(seen) <= 5


def test_the_connections_of_a_search_can_not_write(demo: Demo) -> None:
    with (
        Database(demo.database.url, is_read_only=True) as reader,
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
        reader.transaction() as tx,
    ):
        tx.execute("DELETE FROM tvdb.documents")


def test_a_lost_database_is_a_problem_and_the_service_recovers(serve: Serve, demo: Demo) -> None:
    with httpx2.Client(timeout=60, base_url=serve()) as client:
        assert client.get("/health").status_code == 200
        with psycopg.connect(demo.database.url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert client.post("/v1/search", json={"question": "flood"}).status_code in (200, 503)
        assert client.post("/v1/search", json={"question": "flood"}).status_code == 200


def test_the_command_serves_until_a_signal_and_refuses_to_be_open(
    demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVDB_DATABASE_URL", demo.database.url)
    refused = subprocess.run(
        [TVDB, "serve", "--host", "0.0.0.0", "--port", "0"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (refused.returncode, "token_required" in refused.stderr) == (2, True)
    server = subprocess.Popen(
        [TVDB, "serve", "--port", "0"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stderr is not None
        address = next(word for word in server.stderr.readline().split() if word.startswith("http"))
        answer = httpx2.post(address + "/v1/search", json={"question": "flood"}, timeout=60)
        assert answer.json()["hits"]
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    assert server.returncode in (0, -signal.SIGTERM)
