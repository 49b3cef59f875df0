"""OpenAI's embeddings API, or any server that speaks it: one request at a time, decoded fast.

What belongs here: one request, and the meaning of its response or failure. What does not:
batches (`embedding.paid_embedding`), money, limits and retries (`spend_guard`).

The SDK's own retries are off, because each attempt is reserved separately. The response is
decoded here, from base64: the SDK's way through lists of floats costs 6 to 80 times the CPU.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

import httpx2
import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr

from tvdb_assets import error_codes as codes
from tvdb_assets.embedding.embedder_protocol import EmbeddingProvider, PaidEmbedder
from tvdb_assets.embedding.providers.openai_batches import OpenAIBatches
from tvdb_assets.embedding.response_decoding import decode
from tvdb_assets.embedding.server_traits import ServerTraits, is_about_inputs
from tvdb_assets.errors import EmbeddingError
from tvdb_assets.models import Provenance, VectorSpace
from tvdb_assets.redaction import RedactedCause
from tvdb_assets.settings import Settings
from tvdb_assets.spend_guard.call_failures import CallFailed, FailureKind
from tvdb_assets.spend_guard.guard import ServiceResponse
from tvdb_assets.spend_guard.http_failures import (
    QUOTA_CODES,
    bad_answer,
    connection_failure,
    service_failure,
)
from tvdb_assets.spend_guard.paid_http_client import PaidHttpClient
from tvdb_assets.spend_guard.prices import Price, embedding_price
from tvdb_assets.spend_guard.rate_limiter import RateLimitHeaders, RateLimits

SERVICE = "openai"
NAME = "OpenAI"
_DIMENSIONS = {
    "text-embedding-3-small": 1_536,
    "text-embedding-3-large": 3_072,
    "text-embedding-ada-002": 1_536,
}
"""https://platform.openai.com/docs/guides/embeddings"""
_MOST_BYTES_A_NUMBER = 32
"""Of a response: 5.4 in base64, up to 26 as a decimal number with its comma."""
_MOST_HEAD_BYTES = 1 << 20
_OWN_HOSTS = (".openai.com", ".openai.azure.com")
_TOO_LONG = frozenset(
    {"context_length_exceeded", "max_tokens_per_request", "array_above_max_length"}
)
_TOO_LONG_MESSAGE = re.compile(r"maximum context length|too many tokens|max \d+ tokens|too long")
_REFUSED_MESSAGE = re.compile(r"\$\.input|invalid.{0,20}input|content.{0,20}(policy|filter)")
_REFUSED = frozenset({"content_policy_violation", "content_filter", "invalid_input"})


class OpenAIEmbedder(PaidEmbedder):
    """Vectors of the model of the settings, with the key of the settings.

    A subclass speaks the same protocol to another server, under its own names, key and address.
    """

    service: str = SERVICE
    display_name = NAME
    """For messages."""
    key_variable = "OPENAI_API_KEY"
    max_inputs = 2_048
    max_request_tokens = 300_000
    max_tokens: int | None = 8_191
    """https://platform.openai.com/docs/api-reference/embeddings/create says 8,192; the models'
    own pages 8,191."""

    def __init__(self, settings: Settings, transport: httpx2.AsyncBaseTransport | None = None):
        """Nothing is opened yet.

        Args:
            settings: key, server, model and dimensions.
            transport: under the HTTP client, for tests.

        Raises:
            ConfigurationError: no key, or a model whose dimensions or price are not known.
        """
        key = self._find_key(settings)
        if key is None:
            raise codes.KEY_MISSING.error(
                service=self.display_name, variable=self.key_variable, mode="TVDB_EMBEDDER_MODE"
            )
        self._settings = settings
        self._transport = transport
        self._key = key.get_secret_value()
        self._address = self._find_address(settings)
        self._model = settings.embedding_model
        self._dimensions = settings.embedding_dimensions or _DIMENSIONS.get(self._model)
        self.is_count_exact = self._model in _DIMENSIONS
        # Another server may give one of these names to its model.
        self.is_bill_exact = self.is_count_exact and _is_own_server(self._address)
        self._traits = ServerTraits()
        if self._dimensions is None:
            raise codes.DIMENSIONS_UNKNOWN.error(model=self._model)

    @classmethod
    def _find_key(cls, settings: Settings) -> SecretStr | None:
        return settings.openai_api_key

    @classmethod
    def _find_address(cls, settings: Settings) -> str | None:
        """None is that of the SDK."""
        return settings.openai_base_url

    @classmethod
    def for_space(
        cls,
        space: VectorSpace,
        settings: Settings,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> OpenAIEmbedder:
        """The embedder of another model than that of the settings, with their key and server.

        Raises:
            ConfigurationError: as of the constructor.
        """
        is_same_model = space.model == settings.embedding_model
        other: dict[str, object] = {
            "embedding_model": space.model,
            # The model's own number is not sent: not every model accepts the parameter.
            "embedding_dimensions": (
                None if space.dimensions == _DIMENSIONS.get(space.model) else space.dimensions
            ),
            # The setting is the price of the settings' model.
            "embedding_usd_per_million": (
                settings.embedding_usd_per_million if is_same_model else None
            ),
        }
        return cls(settings.model_copy(update=other), transport)

    @cached_property
    def space(self) -> VectorSpace:
        """Named after model and dimensions: vectors of two lengths are never compared."""
        assert self._dimensions is not None
        return VectorSpace(self.service, self._model, self._dimensions, "v1")

    @cached_property
    def produced_by(self) -> Provenance:
        """OpenAI, in the mode real, by this version of its SDK."""
        return Provenance(self.service, "real", self._model, f"v1 sdk {version('openai')}")

    @property
    def price(self) -> Price:
        """Of an input token now; see `Embedder.price`."""
        return embedding_price(
            self._model, self._settings.embedding_usd_per_million, provider=self.service
        )

    @cached_property
    def account(self) -> str:
        """A digest, from which the key can't be restored."""
        parts = (self._key, self._address or "", self._model)
        return sha256("\0".join(parts).encode()).hexdigest()[:16]

    def load(self) -> None:
        """Load the SDK, which takes 0.5 s."""
        import openai.resources.embeddings  # noqa: F401 - which `openai` itself loads late

    @cached_property
    def _client(self) -> Any:
        # Loaded here, because it costs 0.5 s and only paid modes need it.
        import openai

        settings = self._settings
        http = PaidHttpClient(
            timeout_seconds=settings.paid_timeout_seconds,
            max_answer_bytes=(
                _MOST_HEAD_BYTES + self.max_inputs * self.space.dimensions * _MOST_BYTES_A_NUMBER
            ),
            transport=self._transport,
            limits=httpx2.Limits(
                max_connections=settings.paid_concurrency,
                max_keepalive_connections=settings.paid_concurrency,
            ),
        )
        return openai.AsyncOpenAI(
            api_key=self._key,
            base_url=self._address,
            max_retries=0,
            timeout=http.timeout,
            http_client=http,
        )

    @cached_property
    def batches(self) -> OpenAIBatches:
        """See `PaidEmbedder.batches`."""
        return OpenAIBatches(self, key=self._key, address=self._address, transport=self._transport)

    @property
    def batch_usd_per_million(self) -> Decimal | None:
        """US dollars for a million tokens in a batch job, if they are set."""
        return self._settings.batch_usd_per_million

    def request_body(self) -> dict[str, Any]:
        """A request without its texts."""
        asks_dimensions = bool(self._settings.embedding_dimensions)
        asks_dimensions = asks_dimensions and self._traits.takes_dimensions
        shortened: dict[str, Any] = {"dimensions": self._dimensions} if asks_dimensions else {}
        encoding = "base64" if self._traits.takes_base64 else "float"
        return {"model": self._model, "encoding_format": encoding, **shortened}

    async def _request(
        self, texts: Sequence[str], request_id: str
    ) -> ServiceResponse[NDArray[np.float32]]:
        """See `PaidEmbedder.request`."""
        import openai

        body = self.request_body()
        try:
            raw = await self._client.embeddings.with_raw_response.create(
                input=list(texts), extra_headers={"X-Client-Request-Id": request_id}, **body
            )
        except openai.APIStatusError as error:
            self._learn(error, len(texts), "dimensions" in body)
            raise _status_failure(self.display_name, error, len(texts)) from RedactedCause.of(error)
        except openai.APIConnectionError as error:
            raise connection_failure(self.display_name, error.__cause__) from RedactedCause.of(
                error
            )
        except httpx2.HTTPError as error:
            # The body is read after the SDK's own handling.
            raise connection_failure(self.display_name, error) from RedactedCause.of(error)
        headers = raw.headers
        try:
            vectors, tokens = await asyncio.to_thread(
                decode,
                raw.content,
                len(texts),
                self.space.dimensions,
                is_numbered=self.is_bill_exact,
            )
        except ValueError as error:
            raise bad_answer(
                self.display_name, str(error), raw.status_code, headers.get("x-request-id")
            ) from error
        return ServiceResponse(
            vectors,
            quantity=tokens,
            request_id=headers.get("x-request-id"),
            rate_limit_headers=_rate_limit_headers(headers),
        )

    def _learn(self, error: Any, inputs: int, sent_dimensions: bool) -> None:
        """Remember what the server can't do; the next request does without it."""
        if self.is_bill_exact:
            return
        self._traits = self._traits.after_refusal(
            error.status_code, _message(error), inputs=inputs, sent_dimensions=sent_dimensions
        )
        self.max_inputs = min(self.max_inputs, self._traits.max_inputs or self.max_inputs)

    async def _probe(self, request_id: str) -> ServiceResponse[None]:
        """Ask for the model by name, which is free."""
        import openai

        try:
            raw = await self._client.models.with_raw_response.retrieve(
                self._model, extra_headers={"X-Client-Request-Id": request_id}
            )
        except openai.APIStatusError as error:
            raise _status_failure(self.display_name, error) from RedactedCause.of(error)
        except openai.APIConnectionError as error:
            raise connection_failure(self.display_name, error.__cause__) from RedactedCause.of(
                error
            )
        return ServiceResponse(None, request_id=raw.headers.get("x-request-id"))

    async def close(self) -> None:
        """Close the connections, if any were opened."""
        if "_client" in self.__dict__:
            await self.__dict__.pop("_client").close()
        if "batches" in self.__dict__:
            await self.batches.close()


def _message(error: Any) -> str:
    """The message of a service, to be compared only: it may quote a text."""
    body = error.body
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict):
        body = body.get("message") or body.get("error") or body.get("detail") or ""
    return str(body or "").lower()


def _status_failure(name: str, error: Any, inputs: int = 1) -> CallFailed:
    """The meaning of a response with an error status, by status and code."""
    headers, status = error.response.headers, error.status_code
    body = error.body if isinstance(error.body, dict) else {}
    code, kind_of_error = str(body.get("code") or ""), str(body.get("type") or "")
    if not code or kind_of_error in QUOTA_CODES:
        code = kind_of_error
    message = _message(error)
    failure = service_failure(name, status, code, headers)
    if failure is not None:
        failure.rate_limit_headers = _rate_limit_headers(headers)
        return failure
    is_large = status == 413 or (inputs > 1 and is_about_inputs(message))
    if is_large or code in _TOO_LONG or _TOO_LONG_MESSAGE.search(message):
        kind, refusal = FailureKind.CONTENT, text_too_long()
    elif code in _REFUSED or _REFUSED_MESSAGE.search(message):
        kind, refusal = FailureKind.CONTENT, codes.TEXT_REFUSED.error(service=name)
    else:
        kind = FailureKind.UNKNOWN
        refusal = codes.REQUEST_REFUSED.error(service=name, status=status)
    return CallFailed(kind, refusal, status=status, request_id=headers.get("x-request-id"))


def _is_own_server(address: str | None) -> bool:
    """Whether OpenAI answers at this address; None is that of its SDK."""
    host = urlsplit(address).hostname if address else None
    return address is None or (host is not None and host.endswith(_OWN_HOSTS))


def text_too_long() -> EmbeddingError:
    """A text that is too long for any request."""
    return codes.TEXT_REFUSED_AS_TOO_LONG.error()


def _rate_limit_headers(headers: Any) -> RateLimitHeaders:
    def number(name: str) -> float | None:
        try:
            value = float(headers[f"x-ratelimit-{name}"])
        except (KeyError, ValueError):
            return None
        return max(0.0, value) if isfinite(value) else None

    limits = RateLimits(number("limit-requests") or 0.0, number("limit-tokens") or 0.0)
    return RateLimitHeaders(limits, number("remaining-requests"), number("remaining-tokens"))


PROVIDERS = (
    EmbeddingProvider(
        SERVICE,
        OpenAIEmbedder,
        OpenAIEmbedder.for_space,
        is_paid=True,
        daily_limit=lambda settings: settings.openai_daily_cost_limit,
    ),
)
