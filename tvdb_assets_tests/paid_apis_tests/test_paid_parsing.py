"""The simulated LlamaParse API, over either transport and on its own clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from typing import Any

import httpx2
import pytest

from tvdb_assets_tests.paid_apis import Behaviour, FaultKind
from tvdb_assets_tests.paid_apis.parsing import PAGE_BYTES, VERSIONS
from tvdb_assets_tests.paid_apis_tests.clients import SimulatedServer, simulated_server

KEY = {"authorization": "Bearer llx-test", "x-client-request-id": "attempt-1"}
DOCUMENT = "# One\r\n\r\nfirst\f# Two\n\nzwei \N{SNOWMAN}\fthree".encode()


@dataclass
class Parser:
    """Calls the API the way that the official client does, with the time in its hand."""

    simulated_server: SimulatedServer
    time: list[float] = field(default_factory=lambda: [1_000_000.0])

    def call(self, method: str, path: str, **more: Any) -> httpx2.Response:
        async def send() -> httpx2.Response:
            async with self.simulated_server.http(timeout=0.2) as client:
                return await client.request(method, path, headers={**KEY}, **more)

        return asyncio.run(send())

    def submit(
        self, content: bytes = DOCUMENT, tier: str = "agentic", version: str = "latest"
    ) -> httpx2.Response:
        configuration = json.dumps({"tier": tier, "version": version})
        form = {"data": {"configuration": configuration}, "files": {"file": ("a.md", content)}}
        return self.call("POST", "/api/v2/parse/upload", **form)

    def poll(self, job_id: str, *expand: str) -> dict[str, Any]:
        answer = self.call("GET", f"/api/v2/parse/{job_id}", params={"expand": list(expand)})
        answer.raise_for_status()
        result: dict[str, Any] = answer.json()
        return result

    def run(self, kind: str | None = None) -> tuple[str, dict[str, Any]]:
        """Submit with a fault, wait long enough, poll."""
        if kind:
            self.simulated_server.apis.faults.script(kind, operation="submit")
        job_id: str = self.submit().json()["id"]
        self.time[0] += 60
        return job_id, self.poll(job_id, "markdown", "usage")


@pytest.fixture(params=["socket", "in process"])
def parser(request: pytest.FixtureRequest) -> Iterator[Parser]:
    behaviour = Behaviour(job_seconds=8, billed_after_seconds=2)
    clock: list[float] = [1_000_000.0]
    with simulated_server(request.param, behaviour, lambda: clock[0]) as made:
        yield Parser(made, clock)


def test_a_job_runs_and_is_billed_later(parser: Parser) -> None:
    job = parser.submit().json()
    assert (job["status"], job["tier"], job["name"], job["usage"]) == (
        "PENDING", "agentic", "a.md", None,
    )  # fmt: skip
    seen = []
    for _ in range(6):
        result = parser.poll(job["id"], "markdown", "usage")
        assert result["job"]["id"] == job["id"]
        seen.append((result["job"]["status"], result["job"]["usage"]["credits"]))
        parser.time[0] += 2
    assert seen == [
        ("PENDING", None),
        ("RUNNING", None),
        ("RUNNING", None),
        ("RUNNING", None),
        ("COMPLETED", None),
        ("COMPLETED", 30.0),
    ]
    assert result["markdown"]["pages"] == [
        {"page_number": 1, "markdown": "# One\r\n\r\nfirst", "success": True},
        {"page_number": 2, "markdown": "# Two\n\nzwei \N{SNOWMAN}", "success": True},
        {"page_number": 3, "markdown": "three", "success": True},
    ]


@pytest.mark.parametrize(
    ("tier", "credits_used"),
    [("fast", 3), ("cost_effective", 9), ("agentic", 30), ("agentic_plus", 135)],
)
def test_the_charge_is_pages_by_tier(parser: Parser, tier: str, credits_used: int) -> None:
    job = parser.submit(tier=tier).json()
    (charge,) = parser.simulated_server.apis.charges
    assert (charge.service, charge.operation, charge.model) == ("llamaparse", "parse", tier)
    assert charge.credits == credits_used
    assert charge.dollars == Decimal("1.25") * credits_used / 1000
    assert charge.sha256 == (sha256(DOCUMENT).hexdigest(),)
    assert (charge.client_request_id, charge.job_id) == ("attempt-1", job["id"])


def test_the_same_document_twice_is_billed_twice(parser: Parser) -> None:
    assert parser.submit().json()["id"] != parser.submit().json()["id"]
    assert parser.simulated_server.apis.dollars == Decimal("0.075")
    assert parser.simulated_server.apis.charge_record.counters()["billed_twice"] == 1


def test_a_file_can_be_uploaded_first(parser: Parser) -> None:
    form = {"data": {"purpose": "parse"}, "files": {"file": ("b.txt", b"x\fy")}}
    file = parser.call("POST", "/api/v1/beta/files", **form).json()
    body = {
        "tier": "cost_effective",
        "version": "2026-09-28",
        "file_id": file["id"],
        "user_metadata": {"entry": "1"},
    }
    job = parser.call("POST", "/api/v2/parse", json=body).json()
    assert job["user_metadata"] == {"entry": "1"}
    parser.time[0] += 8
    result = parser.poll(job["id"], "markdown,metadata", "text", "job_metadata")
    assert [page["markdown"] for page in result["markdown"]["pages"]] == ["x", "y"]
    assert [page["page_number"] for page in result["metadata"]["pages"]] == [1, 2]
    assert result["text"]["pages"][1] == {"page_number": 2, "text": "y"}
    missing = parser.call("POST", "/api/v2/parse", json={**body, "file_id": "dfl-none"})
    assert missing.status_code == 404


def test_only_a_file_that_was_uploaded_first_has_metadata(parser: Parser) -> None:
    """Another form might refuse it, and the official client never sends it there."""
    configuration = {"tier": "agentic", "version": "latest", "user_metadata": {"entry": "1"}}
    form = {
        "data": {"configuration": json.dumps(configuration)},
        "files": {"file": ("a.md", DOCUMENT)},
    }
    assert parser.call("POST", "/api/v2/parse/upload", **form).status_code == 422
    assert parser.simulated_server.apis.charges == []


def test_nothing_is_shown_that_was_not_asked_for(parser: Parser) -> None:
    job_id, _ = parser.run()
    assert list(parser.poll(job_id)) == ["job"]
    assert parser.poll(job_id)["job"]["usage"] is None


def test_the_fast_tier_makes_no_markdown(parser: Parser) -> None:
    job = parser.submit(tier="fast").json()
    parser.time[0] += 8
    result = parser.poll(job["id"], "markdown", "text")
    assert result["markdown"] is None
    assert len(result["text"]["pages"]) == 3


def test_the_end_of_a_very_long_page_is_lost_silently(parser: Parser) -> None:
    job = parser.submit(b"a" + "é".encode() * PAGE_BYTES).json()
    parser.time[0] += 8
    (page,) = parser.poll(job["id"], "markdown")["markdown"]["pages"]
    assert page["success"]
    assert len(page["markdown"].encode()) == PAGE_BYTES - 1  # half a letter is not kept


def test_a_running_job_can_be_cancelled_once(parser: Parser) -> None:
    job = parser.submit().json()
    cancel = f"/api/v2/parse/{job['id']}/cancel"
    assert parser.call("POST", cancel).json()["status"] == "CANCELLED"
    assert parser.call("POST", cancel).status_code == 409


def test_versions_are_listed_for_free(parser: Parser) -> None:
    versions = parser.call("GET", "/api/v2/parse/versions").json()
    assert versions["latest"]["agentic"] == VERSIONS["agentic"][0]
    assert parser.simulated_server.apis.charges == []


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"tier": "gold"}, ["body", "tier"]),
        ({"version": "2020-01-01"}, ["body", "version"]),
    ],
)
def test_bad_submissions_are_refused_and_free(
    parser: Parser, change: dict[str, str], where: list[str]
) -> None:
    answer = parser.submit(**change)  # type: ignore[arg-type]
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == where
    assert parser.call("POST", "/api/v2/parse/upload", content=b"no form").status_code == 422
    assert parser.simulated_server.apis.charges == []


@pytest.mark.parametrize(
    ("kind", "status", "credits_billed", "credits_shown"),
    [
        ("job_failed", "FAILED", 0, 0),
        ("job_cancelled", "CANCELLED", 0, 0),
        ("job_unknown_status", "PARTIALLY_ARCHIVED", 30, None),
        ("job_partial", "COMPLETED", 20, 20),
        ("job_never_finishes", "RUNNING", 0, None),
        ("job_never_billed", "COMPLETED", 30, None),
        (None, "COMPLETED", 30, 30),
    ],
)
def test_how_jobs_end(
    parser: Parser, kind: str | None, status: str, credits_billed: int, credits_shown: int | None
) -> None:
    _, result = parser.run(kind)
    assert result["job"]["status"] == status
    assert result["job"]["usage"]["credits"] == credits_shown
    assert sum(charge.credits for charge in parser.simulated_server.apis.charges) == credits_billed
    assert (result["job"]["error_message"] is not None) == (status == "FAILED")
    assert (result["markdown"] is None) == (status != "COMPLETED")


def test_every_end_of_a_job_is_tested() -> None:
    marks = test_how_jobs_end.pytestmark  # type: ignore[attr-defined]
    tested = {case[0] for case in marks[0].args[1]} - {None}
    assert tested == {kind.value for kind in FaultKind if kind.startswith("job_")}


def test_a_partial_success_says_which_pages_failed(parser: Parser) -> None:
    _, result = parser.run("job_partial")
    pages = result["markdown"]["pages"]
    assert [page["success"] for page in pages] == [True, False, True]
    assert pages[1] == {
        "page_number": 2, "success": False, "error": "This page could not be parsed",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "error"),
    [("reset_after_work", httpx2.ReadError), ("reset_mid_body", httpx2.RemoteProtocolError)],
)
def test_a_lost_submission_made_a_job_and_is_billed(
    parser: Parser, kind: str, error: type[Exception]
) -> None:
    parser.simulated_server.apis.faults.script(kind, operation="submit")
    with pytest.raises(error):
        parser.submit()
    (charge,) = parser.simulated_server.apis.charges
    assert not charge.answered
    parser.time[0] += 8
    assert charge.job_id is not None
    assert parser.poll(charge.job_id)["job"]["status"] == "COMPLETED"


def test_a_submission_that_never_arrived_is_free(parser: Parser) -> None:
    parser.simulated_server.apis.faults.script("reset_before_work", operation="submit")
    with pytest.raises(httpx2.ReadError):
        parser.submit()
    assert parser.simulated_server.apis.charges == []


REFUSALS = {
    "rate_limited": 429,
    "rate_limited_seconds": 429,
    "rate_limited_date": 429,
    "rate_limited_ms": 429,
    "server_error": 500,
    "bad_gateway": 502,
    "unavailable": 503,
    "gateway_timeout": 504,
    "overloaded": 529,
    "bad_gateway_html": 502,
    "invalid_key": 401,
    "forbidden": 403,
    "not_found": 404,
    "insufficient_quota": 402,
    "credit_balance_exhausted": 429,
    "payment_required": 402,
    "billing_hard_limit_400": 400,
    "billing_hard_limit_429": 429,
    "refused_text": 400,
    "unknown_code": 400,
    "too_large": 413,
    "unprocessable": 422,
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_happens_once_and_is_free(parser: Parser, kind: str) -> None:
    faults = parser.simulated_server.apis.faults
    faults.script(kind, operation="submit")
    answer = parser.submit()
    assert answer.status_code == REFUSALS[kind]
    if kind != "bad_gateway_html":
        assert answer.json()["detail"]
    assert parser.simulated_server.apis.charges == []
    job_id = parser.submit().json()["id"]
    faults.script(kind, operation="poll")
    refused = parser.call("GET", f"/api/v2/parse/{job_id}")
    assert refused.status_code == REFUSALS[kind]
    assert parser.poll(job_id)["job"]["id"] == job_id


def test_a_marked_file_is_refused_each_time(parser: Parser) -> None:
    parser.simulated_server.apis.faults.script(
        "refused_text", operation="submit", times=None, marker="BAD"
    )
    assert [parser.submit(text).status_code for text in (b"fine", b"so BAD", b"so BAD")] == [
        200, 400, 400,
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["socket", "in process"])
def test_submissions_and_polls_share_one_rate(kind: str) -> None:
    clock = [1_000_000.0]
    behaviour = Behaviour(parsing_requests_per_minute=3)
    with simulated_server(kind, behaviour, lambda: clock[0]) as made:
        parser = Parser(made, clock)
        job = f"/api/v2/parse/{parser.submit().json()['id']}"
        assert [parser.call("GET", job).status_code for _ in range(3)] == [200, 200, 429]
        refused = parser.submit()
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "20")
        clock[0] += 20
        assert parser.call("GET", job).status_code == 200


def test_what_is_not_there(parser: Parser) -> None:
    paths: list[Callable[[], httpx2.Response]] = [
        lambda: parser.call("GET", "/api/v2/parse/pjb-none"),
        lambda: parser.call("POST", "/api/v2/parse/pjb-none/cancel"),
        lambda: parser.call("GET", "/api/v3/parse"),
    ]
    assert [call().status_code for call in paths] == [404] * 3
    assert all(call().json()["detail"] for call in paths)


def test_a_wrong_key_is_refused(parser: Parser) -> None:
    async def ask() -> httpx2.Response:
        async with parser.simulated_server.http() as client:
            key = {"authorization": "Bearer bad"}
            return await client.get("/api/v2/parse/versions", headers=key)

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid API Key"})
