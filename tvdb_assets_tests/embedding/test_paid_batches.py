"""Batches of texts in the paid embedder: order, halving, halts, and stored vectors.

What belongs here: batches of several texts or requests. What does not: the effects of one failure
(`test_paid_failures`), or documents (`ingestion`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from hashlib import sha256

import numpy as np
import pytest

from tvdb_assets.core.token_counting import count_tokens
from tvdb_assets.embedding.embedder_protocol import Vectors
from tvdb_assets.embedding.embedding_result import EmbeddingResult, TextToEmbed
from tvdb_assets.errors import BudgetError, RateError, RefusedError, UnavailableError
from tvdb_assets.models import Provenance
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.spend_guard.guard import Transaction
from tvdb_assets.spend_guard.service_state import REFUSED_SECONDS
from tvdb_assets_tests.paid_apis import Behaviour, PaidApis, PaidApisTransport, expected_vectors
from tvdb_assets_tests.paid_router import PaidServicesFixture

REFUSED_TEXT = "this-text-is-poison"
EACH = 300_000 // 8_000
HUNDRED = [f"Clause {number} of the policy." for number in range(100)]


@pytest.fixture
def paid(paid_in_shared: PaidServicesFixture) -> PaidServicesFixture:
    return paid_in_shared


def embed(paid: PaidServicesFixture, texts: Sequence[str], **given: object) -> EmbeddingResult:
    return paid.use(lambda router: router.embed(texts), **given)


def requests_of(count: int) -> list[TextToEmbed]:
    """Texts that fill ``count`` requests, by their stated numbers of tokens."""
    return [TextToEmbed(f"Clause {at} of the law.", 8_000) for at in range(count * EACH)]


BUDGET = Decimal("0.02") * sum(map(count_tokens, HUNDRED[:60])) / 1_000_000
"""The cost of sixty of the hundred texts in US dollars."""


def with_refused_text(at: int) -> list[str]:
    return [*HUNDRED[:at], REFUSED_TEXT, *HUNDRED[at + 1 :]]


def check(
    paid: PaidServicesFixture, texts: Sequence[str], done: EmbeddingResult, bad: dict[int, str]
) -> None:
    """Check that all good texts have their own vectors, and that the posted cost is exact."""
    assert {at: error.code for at, error in done.errors.items()} == bad
    assert len(done) == len(texts)
    good = [at for at in range(len(texts)) if at not in bad]
    np.testing.assert_array_equal(done.vectors[good], expected_vectors([texts[at] for at in good]))
    assert np.isnan(done.vectors[list(bad)]).all()
    assert paid.spent == paid.apis.dollars


@pytest.mark.parametrize("fault", ["refused_text", "too_large", "unknown_code"])
@pytest.mark.parametrize("at", [0, 1, 12, 50, 99])
def test_one_refused_text_among_a_hundred_fails_alone(
    paid: PaidServicesFixture, fault: str, at: int
) -> None:
    codes = {"refused_text": "text_refused", "too_large": "text_too_long"}
    paid.apis.faults.script(fault, times=None, marker=REFUSED_TEXT)
    texts = with_refused_text(at)

    done = embed(paid, texts)

    check(paid, texts, done, {at: codes.get(fault, "request_refused")})
    answered = [digest for charge in paid.apis.charges for digest in charge.sha256]
    assert Counter(answered).most_common(1)[0][1] == 1
    # Halving a hundred takes at most 7 levels of two parts; an unknown refusal is retried once.
    assert len(paid.apis.requests) <= (1 + 14) * (2 if fault == "unknown_code" else 1)
    [(splits,)] = paid.rows("SELECT count(*) FROM tvdb.cost_ledger WHERE purpose = 'split'")
    assert splits > 0


@pytest.mark.parametrize("bad", [{3, 96}, {0, 1}, {0, 33, 66, 99}, set(range(40, 60))])
def test_several_refused_texts_fail_alone(paid: PaidServicesFixture, bad: set[int]) -> None:
    paid.apis.faults.script("refused_text", times=None, marker=REFUSED_TEXT)
    texts = [f"{REFUSED_TEXT} {at}" if at in bad else text for at, text in enumerate(HUNDRED)]

    check(paid, texts, embed(paid, texts), dict.fromkeys(bad, "text_refused"))


def test_a_refusal_of_every_text_stops_the_batch(paid: PaidServicesFixture) -> None:
    paid.apis.faults.script("unknown_code", times=None)

    with pytest.raises(RefusedError) as caught:
        embed(paid, HUNDRED)

    assert caught.value.code == "request_refused"
    assert caught.value.__cause__ is not None
    assert len(paid.apis.requests) <= 16
    assert paid.spent == 0


def test_a_temporary_unknown_refusal_is_retried(paid: PaidServicesFixture) -> None:
    paid.apis.faults.script("unknown_code", times=1)
    check(paid, HUNDRED, embed(paid, HUNDRED), {})
    assert len(paid.apis.requests) == 2


@pytest.mark.parametrize(
    "fault",
    [
        *("shuffled", "one_too_few", "one_too_many", "duplicated_index", "missing_index"),
        *("wrong_dimensions", "truncated_json", "html_200", "empty_body"),
        *("reset_after_work", "reset_mid_body"),
    ],
)
def test_a_malformed_answer_is_sorted_or_not_stored(paid: PaidServicesFixture, fault: str) -> None:
    paid.apis.faults.script(fault, times=1)
    done = embed(paid, HUNDRED)
    check(paid, HUNDRED, done, {})
    assert len(paid.apis.requests) == (1 if fault == "shuffled" else 2)


@pytest.mark.parametrize("fault", ["one_too_few", "duplicated_index", "wrong_dimensions"])
def test_repeated_malformed_answers_store_no_vector(paid: PaidServicesFixture, fault: str) -> None:
    paid.apis.faults.script(fault, times=None)
    stored: list[int] = []

    def persist(tx: Transaction | None, at: Sequence[int], *rest: object) -> None:
        stored.extend(at)

    with pytest.raises(UnavailableError, match="bad_answer"):
        paid.use(lambda router: router.embed(HUNDRED, persist=persist))

    assert stored == []
    assert paid.spent == paid.apis.dollars > 0


@pytest.mark.parametrize(
    ("fault", "code"), [("not_a_number", "vector_not_finite"), ("zero_vector", "vector_zero")]
)
def test_an_invalid_vector_fails_only_its_text(
    paid: PaidServicesFixture, fault: str, code: str
) -> None:
    paid.apis.faults.script(fault, times=1)
    done = embed(paid, HUNDRED)
    [(at, error)] = done.errors.items()
    assert error.code == code
    check(paid, HUNDRED, done, {at: code})
    assert len(paid.apis.requests) == 1


def test_equal_texts_are_sent_once_and_fail_together(paid: PaidServicesFixture) -> None:
    paid.apis.faults.script("refused_text", times=None, marker=REFUSED_TEXT)
    texts = ["a", REFUSED_TEXT, "a", "b", REFUSED_TEXT]
    check(paid, texts, embed(paid, texts), dict.fromkeys((1, 4), "text_refused"))


def test_empty_and_too_long_texts_are_not_sent(paid: PaidServicesFixture) -> None:
    long = "word " * 9_000
    texts = ["", long, "good"]
    check(paid, texts, embed(paid, texts), {0: "text_empty", 1: "text_too_long"})
    assert [request.inputs for request in paid.apis.requests] == [1]


ODD = {
    "latin-1": b"Pr\xe4mie f\xfcr H\xe4user".decode("latin-1"),
    "read as latin-1": "Prämie".encode().decode("latin-1"),
    "nul": "a\0b",
    "only nul": "\0",
    "control": "\x01\x02\x1b[31m\x7f",
    "family": "👩‍👩‍👧‍👦",
    "combining": "e" + "\u0301" * 500,
    "right to left": "\u202eabc\u202c",
    "no character": "\uffff\ufffe\ufdd0",
    "replacement": "\ufffd" * 20,
    "astral": "\U0010ffff\U0001d518",
    "line ends": "a\r\nb\u2028c\x85d",
    "blank": " ",
    "special token": "<|endoftext|><|fim_prefix|>",
}


def test_odd_texts_get_their_own_vectors(paid: PaidServicesFixture) -> None:
    texts = list(ODD.values())
    check(paid, texts, embed(paid, texts), {})
    [charge] = paid.apis.charges
    assert list(charge.sha256) == [sha256(text.encode()).hexdigest() for text in texts]


@pytest.mark.parametrize("mode", ["mock", "local", "real"])
def test_a_lone_surrogate_fails_only_its_text(paid: PaidServicesFixture, mode: str) -> None:
    done = embed(paid, ["good", "half \ud83d of a face", "also good"], service_mode=mode)
    assert {at: error.code for at, error in done.errors.items()} == {1: "text_not_unicode"}
    assert np.isfinite(done.vectors[[0, 2]]).all()


@pytest.mark.parametrize("quota", ["insufficient_quota", "billing_hard_limit_400", "invalid_key"])
def test_after_one_refusal_of_an_account_no_call_is_sent(
    paid: PaidServicesFixture, quota: str
) -> None:
    paid.apis.faults.script(quota, times=None, after=2)
    texts = requests_of(5)

    async def load(router: ServiceRouter) -> None:
        with pytest.raises(RefusedError):
            await router.embed(texts)

    one = {"paid_concurrency": 1}
    paid.use(load, **one)
    assert len(paid.apis.requests) == 3
    assert len(paid.apis.charges) == 2

    # The refusal is shared with other runs and processes.
    paid.use(load, **one)
    paid.use(load, paid_concurrency=8)
    paid.clock.forward(REFUSED_SECONDS - 1)
    paid.use(load, **one)
    assert len(paid.apis.requests) == 3

    # Then one request is sent again, and the others wait for its result.
    paid.clock.forward(2)
    paid.use(load, paid_concurrency=8)
    assert len(paid.apis.requests) == 4
    paid.use(load, paid_concurrency=8)
    assert len(paid.apis.requests) == 4

    # Another key is another account.
    paid.clock.forward(60)  # for the minute's tokens
    paid.apis.faults.clear()
    done = paid.use(lambda router: router.embed(texts), OPENAI_API_KEY="sk-other")
    assert not done.errors
    assert len(paid.apis.requests) == 4 + 5
    assert all(state != "pending" for state, _ in paid.ledger())


def test_a_refused_account_stops_all_requests_that_are_not_in_flight(
    paid: PaidServicesFixture,
) -> None:
    paid.apis.faults.script("insufficient_quota", times=None)

    with pytest.raises(RefusedError):
        paid.use(lambda router: router.embed(requests_of(8)), paid_concurrency=4)

    assert 1 <= len(paid.apis.requests) <= 4
    assert paid.spent == 0


@pytest.mark.parametrize("limit", ["daily_cost_limit", "openai_daily_cost_limit"])
def test_an_exhausted_budget_stops_a_batch_and_keeps_paid_vectors(
    paid: PaidServicesFixture, limit: str
) -> None:
    persisted: list[int] = []

    def persist(
        tx: Transaction | None, at: Sequence[int], vectors: Vectors, produced_by: Provenance
    ) -> None:
        persisted.extend(at)

    with pytest.raises(BudgetError):
        paid.use(lambda router: router.embed(HUNDRED, persist=persist), **{limit: BUDGET})

    assert sorted(persisted) == list(range(60))
    assert paid.spent == paid.apis.dollars == BUDGET
    answered = [digest for charge in paid.apis.charges for digest in charge.sha256]
    assert answered == [sha256(HUNDRED[at].encode()).hexdigest() for at in persisted]


def test_an_hourly_limit_stops_a_batch_and_keeps_paid_vectors(
    paid: PaidServicesFixture,
) -> None:
    persisted: list[int] = []

    def persist(
        tx: Transaction | None, at: Sequence[int], vectors: Vectors, produced_by: Provenance
    ) -> None:
        persisted.extend(at)

    with pytest.raises(RateError, match="hourly_requests_exhausted"):
        paid.use(
            lambda router: router.embed(requests_of(5), persist=persist),
            **{"paid_concurrency": 1, "hourly_rate_limit": 3},
        )

    assert sorted(persisted) == list(range(3 * EACH))
    assert len(paid.apis.charges) == len(paid.apis.requests) == 3


@pytest.mark.parametrize("service", ["openai", "llamaparse"])
def test_an_answer_that_cannot_be_stored_is_not_posted(
    paid: PaidServicesFixture, service: str
) -> None:
    """Storing and posting are one transaction: neither without the other."""

    class DiskFullError(Exception):
        pass

    def persist(tx: Transaction, *rest: object) -> None:
        tx.execute("INSERT INTO tvdb.budget_windows VALUES ('stored', 'day', now())")
        raise DiskFullError

    file = b"<!doctype html><p>The insured pays.</p>"
    uses = {
        "openai": lambda router: router.embed(HUNDRED, persist=persist),
        "llamaparse": lambda router: router.parse_paid(
            file, "a.html", "text/html", 2, persist=persist
        ),
    }
    with pytest.raises(DiskFullError):
        paid.use(uses[service])

    assert paid.ledger() == [("pending", None)]
    assert paid.rows("SELECT count(*) FROM tvdb.budget_windows WHERE scope = 'stored'") == [(0,)]
    [(reserved,)] = paid.rows("SELECT reserved_usd FROM tvdb.cost_ledger")
    assert paid.spent == reserved >= paid.apis.dollars > 0
    if service == "llamaparse":
        # The job is recorded: its result is fetched and not paid again.
        parsed = paid.use(lambda router: router.parse_paid(file, "a.html", "text/html", 2))
        assert "The insured pays." in parsed.text
        assert len(paid.apis.charges) == 1
        assert paid.ledger() == [("posted", "answered")]


def test_vectors_and_their_cost_are_stored_in_one_transaction(
    paid: PaidServicesFixture,
) -> None:
    seen: list[tuple[object, ...]] = []

    def persist(tx: Transaction | None, at: Sequence[int], *rest: object) -> None:
        assert tx is not None
        [(mine,)] = tx.execute("SELECT txid_current()").fetchall()
        seen.append((mine, len(at)))

    paid.use(lambda router: router.embed(requests_of(2), persist=persist))

    rows = paid.rows(
        "SELECT xmin::text::bigint, inputs FROM tvdb.cost_ledger WHERE state = 'posted'"
    )
    assert len(rows) == 2
    assert sorted(rows) == sorted(seen)


def test_the_posted_cost_is_exact(paid: PaidServicesFixture) -> None:
    done = embed(paid, HUNDRED)
    tokens = sum(map(count_tokens, HUNDRED))
    assert not done.errors
    assert paid.spent == Decimal("0.02") * tokens / 1_000_000


def test_the_upper_bound_holds_for_a_server_that_counts_more_tokens(
    paid: PaidServicesFixture,
) -> None:
    """The server counts bytes, so a word of one token costs more than one token."""
    paid.apis.behaviour = Behaviour(exact_tokens=False)
    texts = [f"{number} responsibility" + " responsibility" * 20 for number in range(20)]
    embed(paid, texts[:10])
    # The cost of the first batch is known; the answer to the second is lost.
    paid.apis.faults.script("reset_after_work", times=1)

    embed(paid, texts[10:])

    [(lost,)] = paid.rows("SELECT posted_usd FROM tvdb.cost_ledger WHERE outcome = 'lost'")
    counted = sum(map(count_tokens, texts[10:]))
    assert paid.apis.charges[1].dollars > Decimal("0.02") * counted / 1_000_000
    assert lost >= paid.apis.charges[1].dollars
    assert paid.spent >= paid.apis.dollars


def test_a_request_uses_at_most_an_eighth_of_the_tokens_per_minute(
    paid: PaidServicesFixture,
) -> None:
    texts = [f"Clause {number} is kept apart from clause {number + 1}." for number in range(200)]
    tokens = sum(map(count_tokens, texts))
    paid.apis = PaidApis(Behaviour(tokens_per_minute=2 * tokens))
    paid.transport = PaidApisTransport(paid.apis)
    embed(paid, [texts[0]])
    assert paid.state("openai").limiter.limits.tokens_per_minute == 2 * tokens

    done = embed(paid, texts)

    check(paid, texts, done, {})
    # At least four requests are necessary for half of the tokens per minute.
    assert [request.status for request in paid.apis.requests[1:]] in ([200] * 4, [200] * 5)


def test_a_token_count_that_is_stated_too_low_reserves_no_less(paid: PaidServicesFixture) -> None:
    """The process that counted may have been taken over by the document."""
    text = "The insured pays the premium in advance. " * 100
    with pytest.raises(BudgetError):
        paid.use(
            lambda router: router.embed([TextToEmbed(text, 1)]),
            daily_cost_limit=Decimal("0.02") * 100 / 1_000_000,
        )
    assert paid.apis.requests == []
    assert paid.spent == 0
