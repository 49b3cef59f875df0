"""The contract of ``await router.parse(data, path)`` in every mode and of every paid provider."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import httpx2
import pytest

from tvdb_assets.core.text_validation import validate
from tvdb_assets.errors import BreakerError, ParseError, UnavailableError
from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import ServiceMode, load_settings
from tvdb_assets_tests.contracts.second_providers import PARSER, second_providers
from tvdb_assets_tests.paid_apis import running_server
from tvdb_assets_tests.paid_router import FixedResponse, FixedResponses, PaidServicesFixture

PAGE = "<!doctype html><html><body><h1>Policy</h1><p>The insured pays.</p></body></html>"
NOTE = "# Leave\n\nEvery employee has thirty days of vacation a year.\n"
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU"
    b"\x00\x00\x00\nIDATx\x9cc`\x00\x00\x00\x02\x00\x01H\xaf\xa4q\x00\x00\x00\x00IEND\xaeB`\x82"
)
PROVIDERS = {"real": "llamaparse", "hybrid": "llamaparse", "real 2": PARSER, "hybrid 2": PARSER}
"""The provider of each mode. The second provider exists in the tests only."""
MODES = ["mock", "local", *PROVIDERS]
RECORDED = {"mock": "mock", "local": "local", **dict.fromkeys(PROVIDERS, "real")}
PAID = ("real", "hybrid")


@pytest.fixture
def paid(
    paid_in_shared: PaidServicesFixture, paid_workers: WorkerPool
) -> Iterator[PaidServicesFixture]:
    paid_in_shared.workers = paid_workers
    with second_providers():
        yield paid_in_shared


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    assert isinstance(request.param, str)
    return request.param


def parse(paid: PaidServicesFixture, mode: str, data: bytes | str, path: str) -> ParsedDocument:
    content = data.encode() if isinstance(data, str) else data
    return paid.use(
        lambda router: router.parse(content, path),
        parser_mode=mode.split()[0],
        parser=PROVIDERS.get(mode, "llamaparse"),
        service_mode="local",
    )


def completed(*pages: object, **job: object) -> FixedResponses:
    """A service that completes a job immediately, with these pages."""
    answer = {"job": {"status": "COMPLETED", **job}, "markdown": {"pages": list(pages)}}
    return FixedResponses(
        FixedResponse(200, b'{"id": "pjb-1"}'), FixedResponse(200, json.dumps(answer).encode())
    )


def page(text: str, number: int = 1) -> dict[str, object]:
    return {"page_number": number, "success": True, "markdown": text}


def test_a_parsed_text_has_structure_and_provenance(paid: PaidServicesFixture, mode: str) -> None:
    parsed = parse(paid, mode, PAGE, "policies/policy.html")
    assert "The insured pays." in parsed.text
    assert parsed.media_type == "text/html"
    assert parsed.is_markdown
    assert parsed.produced_by.service == PROVIDERS.get(mode, "lxml")
    assert parsed.produced_by.mode == RECORDED[mode]
    assert parsed.produced_by.model
    assert parsed.produced_by.version
    assert not parsed.produced_by.is_degraded
    assert all(parsed.text[heading.offset] for heading in parsed.headings)
    validate(parsed, len(PAGE))


def test_the_same_bytes_give_the_same_text(paid: PaidServicesFixture, mode: str) -> None:
    one = parse(paid, mode, PAGE, "a.html")
    other = parse(paid, mode, PAGE, "b.html")
    assert (one.text, one.headings, one.page_starts) == (
        *(other.text, other.headings, other.page_starts),
    )
    # The second call uses the job of the first one.
    assert paid.request_count("submit") == len(paid.apis.charges) == int(mode in PROVIDERS)


def test_text_formats_are_never_sent_to_a_paid_service(
    paid: PaidServicesFixture, mode: str
) -> None:
    parsed = parse(paid, mode, NOTE, "note.md")
    assert parsed.text.strip() == NOTE.strip()
    assert parsed.produced_by.mode == ("mock" if mode == "mock" else "local")
    assert not parsed.produced_by.is_degraded
    assert paid.apis.requests == []


@pytest.mark.parametrize(
    ("data", "path", "code"),
    [(b"", "a.pdf", "empty"), (b"\0\0", "a.html", "empty"), (b"%PDF-1.7\nx", "a.pdf", "corrupt")],
)
def test_unreadable_files_are_not_sent(
    paid: PaidServicesFixture, mode: str, data: bytes, path: str, code: str
) -> None:
    with pytest.raises(ParseError) as caught:
        parse(paid, mode, data, path)
    assert caught.value.code == code
    assert caught.value.remedy
    assert paid.apis.requests == []
    assert paid.ledger() == []


def test_only_paid_modes_pay_and_the_cost_is_exact(paid: PaidServicesFixture, mode: str) -> None:
    parse(paid, mode, PAGE, "a.html")
    is_paid = mode in PROVIDERS
    assert paid.ledger() == [("posted", "answered")] * is_paid
    assert paid.spent == paid.apis.dollars
    assert (paid.spent > 0) == is_paid
    rows = paid.rows("SELECT service, documents, model, unit, purpose FROM tvdb.cost_ledger")
    service = PROVIDERS.get(mode)
    assert rows == [(service, ["a.html"], "cost_effective", "page", "first")] * is_paid


@pytest.mark.parametrize("fault", ["unavailable", "reset_before_work", "html_200"])
@pytest.mark.parametrize("operation", ["submit", "poll"])
@pytest.mark.parametrize("provider", ["", " 2"])
def test_hybrid_marks_its_fallback_and_real_never_falls_back(
    paid: PaidServicesFixture, fault: str, operation: str, provider: str
) -> None:
    paid.apis.faults.script(fault, operation=operation, times=None)

    parsed = parse(paid, f"hybrid{provider}", PAGE, "a.html")

    assert parsed.produced_by.is_degraded
    assert parsed.produced_by.mode == "local"
    assert parsed.text == parse(paid, "local", PAGE, "a.html").text
    paid.clock.forward(1_000)
    with pytest.raises((UnavailableError, BreakerError)):
        parse(paid, f"real{provider}", PAGE, "a.html")
    assert paid.spent >= paid.apis.dollars


@pytest.mark.parametrize("mode", PAID)
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("job_failed", "parse_job_failed"),
        ("job_cancelled", "parse_job_failed"),
        ("job_partial", "pages_failed"),
        ("unprocessable", "document_refused"),
        ("too_large", "document_refused"),
    ],
)
def test_an_error_of_the_document_is_reported_without_a_fallback(
    paid: PaidServicesFixture, mode: str, fault: str, code: str
) -> None:
    paid.apis.faults.script(fault, operation="submit", times=None)
    with pytest.raises(ParseError) as caught:
        parse(paid, mode, PAGE, "a.html")
    assert caught.value.code == code
    assert paid.spent == paid.apis.dollars


@pytest.mark.parametrize("mode", PROVIDERS)
def test_an_unreported_cost_counts_as_the_upper_bound(paid: PaidServicesFixture, mode: str) -> None:
    paid.apis.faults.script("job_never_billed", operation="submit")
    parse(paid, mode, PAGE, "a.html")
    [(reserved,)] = paid.rows("SELECT reserved_usd FROM tvdb.cost_ledger")
    assert paid.spent == reserved >= paid.apis.dollars > 0


def test_a_job_that_does_not_end_is_awaited_again_and_paid_once(paid: PaidServicesFixture) -> None:
    late = {"parser_mode": "real", "llamaparse_timeout_seconds": 0.001}
    paid.apis.faults.script("job_never_finishes", operation="submit")
    for _ in range(2):
        with pytest.raises(ParseError, match="parse_job_late"):
            paid.use(lambda router: router.parse(PAGE.encode(), "a.html"), **late)
    assert paid.request_count("submit") == 1
    assert paid.ledger() == [("pending", None)]


def test_an_image_of_one_page_is_whole(paid: PaidServicesFixture) -> None:
    paid.transport = completed(page("# Receipt\n\nTwo nights at the hotel."))
    parsed = parse(paid, "real", PNG, "receipt.png")
    assert "Two nights" in parsed.text
    assert parsed.page_starts == (0,)


def test_pages_out_of_order_are_put_in_order(paid: PaidServicesFixture) -> None:
    paid.transport = completed(page("Second.", 2), page("First.", 1))
    parsed = parse(paid, "real", f"<!doctype html><p>{'word ' * 300}</p>", "a.html")
    assert parsed.text.split() == ["First.", "Second."]


@pytest.mark.parametrize(
    ("pages", "code"),
    [
        ([page("x" * 65_536)], "pages_cut"),
        ([{**page("Good."), "success": False}], "pages_failed"),
        ([page("")], "pages_without_text"),
        ([page("404 Not Found")], "error_as_content"),
        ([], "empty"),
    ],
)
def test_an_incomplete_text_is_an_error(
    paid: PaidServicesFixture, pages: list[object], code: str
) -> None:
    paid.transport = completed(*pages)
    with pytest.raises(ParseError) as caught:
        parse(paid, "real", PAGE, "a.html")
    assert caught.value.code == code


def test_nul_and_odd_characters_of_an_answer_are_cleaned(paid: PaidServicesFixture) -> None:
    paid.transport = completed(page("The\0 insured\r\npays \ud83d."))
    parsed = parse(paid, "real", PAGE, "a.html")
    assert "\0" not in parsed.text
    parsed.text.encode()


@pytest.mark.parametrize("mode", list(ServiceMode))
def test_a_plain_class_over_a_real_connection_that_opens_its_own_database(
    empty_url: str, mode: ServiceMode
) -> None:
    async def use(url: str) -> ParsedDocument:
        settings = load_settings(
            parser_mode=mode,
            parse_workers=1,
            database_url=empty_url,
            LLAMA_CLOUD_API_KEY="llx-test",
            LLAMA_CLOUD_BASE_URL=url,
        )
        async with ServiceRouter(settings) as router:
            return await router.parse(PAGE.encode(), "a.html")

    with running_server() as server:
        parsed = asyncio.run(use(server.url))
        assert len(server.apis.charges) == int(mode in PAID)
    assert "The insured pays." in parsed.text
    assert parsed.produced_by.mode == {"hybrid": "real"}.get(mode, mode)
    assert httpx2.URL(server.url).host == "127.0.0.1"
