"""OpenAI's embeddings API, or any server that speaks it: one request at a time, decoded fast.

What belongs here: one request, and the meaning of its response or failure. What does not:
batches (`embedding.paid_embedding`), money, limits and retries (`spend_guard`).

The SDK's own retries are off, because each attempt is reserved separately. The response is
decoded here, from base64: the SDK's way through lists of floats costs 6 to 80 times the CPU.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from typing import Any

import httpx2
import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import SecretStr

from tvdb_assets import error_codes as codes
from tvdb_assets.embedding.embedder_protocol import EmbeddingProvider
from tvdb_assets.embedding.learning_embedder import LearningEmbedder, rate_limit_headers
from tvdb_assets.embedding.providers.openai_batches import OpenAIBatches
from tvdb_assets.embedding.response_decoding import (
    ErrorBodyError,
    decode,
)
from tvdb_assets.embedding.server_address import server_address
from tvdb_assets.embedding.server_traits import ServerTraits
from tvdb_assets.models import Provenance, VectorSpace
from tvdb_assets.redaction import RedactedCause
from tvdb_assets.settings import EmbeddingEncoding, Settings
from tvdb_assets.spend_guard.call_failures import Charge
from tvdb_assets.spend_guard.guard import ServiceResponse
from tvdb_assets.spend_guard.paid_http_client import PaidHttpClient
from tvdb_assets.spend_guard.prices import Price, embedding_price

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
_MOST_UNKNOWN_DIMENSIONS = 16_384
"""Longer than the vectors of any known model."""
_OF_THE_CHOSEN = (
    *("embedding_base_url", "embedding_headers", "embedding_encoding", "azure_api_version"),
    *("embedding_max_inputs", "embedding_max_request_tokens"),
    *("embedding_query_prefix", "embedding_document_prefix"),
)
"""Settings of the server that ``TVDB_EMBEDDER`` chooses, which are not those of another one."""
_NO_KEY = "none"
_NO_LIMIT = 1 << 31


class OpenAIEmbedder(LearningEmbedder):
    """Vectors of the model of the settings, with the key of the settings.

    A subclass speaks the same protocol to another server, under its own names, key and address.
    """

    service: str = SERVICE
    display_name = NAME
    key_variable = "OPENAI_API_KEY"
    space_version = "v1"
    """Another one is another vector space; changes if the same text may get another vector."""
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
        self._settings = settings
        self._transport = transport
        self._is_recalled = False
        self._model = settings.embedding_model
        self._address = server_address(
            self._find_address(settings), self._model, settings.azure_api_version
        )
        key = self._find_key(settings)
        if key is None and self._address.needs_key:
            raise codes.KEY_MISSING.error(
                service=self.display_name, variable=self.key_variable, mode="TVDB_EMBEDDER_MODE"
            )
        self._key = key.get_secret_value() if key is not None else ""
        # Another server may give one of these names to its model.
        self.is_count_exact = self._model in _DIMENSIONS
        self.is_bill_exact = self.is_count_exact and self._address.is_of_openai
        self._own_dimensions = _DIMENSIONS.get(self._model)
        """Of the model, where they are known without a request."""
        is_known = settings.embedding_dimensions or self._own_dimensions
        if self._address.has_known_models and not is_known:
            raise codes.DIMENSIONS_UNKNOWN.error(model=self._model)
        query, document = self._model_prefixes
        given = settings.embedding_query_prefix, settings.embedding_document_prefix
        self.query_prefix = query if given[0] is None else given[0]
        self.document_prefix = document if given[1] is None else given[1]
        self.add_traits(ServerTraits())

    @property
    def _model_prefixes(self) -> tuple[str, str]:
        """What the model wants before a question and a passage, where no setting says it."""
        return "", ""

    @classmethod
    def _find_key(cls, settings: Settings) -> SecretStr | None:
        return settings.openai_api_key

    @classmethod
    def _find_address(cls, settings: Settings) -> str | None:
        """None is that of the SDK."""
        return settings.embedding_base_url or settings.openai_base_url

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
        is_chosen = settings.embedder == cls.service
        is_same_model = is_chosen and space.model == settings.embedding_model
        # The server that is chosen must not get this one's key, nor this one the other's headers.
        not_its_own = () if is_chosen else _OF_THE_CHOSEN
        other: dict[str, object] = {
            **dict.fromkeys(not_its_own),
            "embedder": cls.service,
            "embedding_model": space.model,
            # The model's own number is not sent: not every model accepts the parameter.
            "embedding_dimensions": (
                None if space.dimensions == _DIMENSIONS.get(space.model) else space.dimensions
            ),
            # The settings are the prices of the settings' model.
            "embedding_usd_per_million": (
                settings.embedding_usd_per_million if is_same_model else None
            ),
            "embedding_query_usd_per_million": (
                settings.embedding_query_usd_per_million if is_same_model else None
            ),
            "batch_usd_per_million": settings.batch_usd_per_million if is_same_model else None,
        }
        return cls(settings.model_copy(update=other), transport)

    def add_traits(self, traits: ServerTraits) -> None:
        """See `PaidEmbedder.add_traits`; settings have precedence."""
        settings = self._settings
        super().add_traits(self.traits.merged(traits))
        if settings.embedding_encoding is not None:
            base64 = settings.embedding_encoding is EmbeddingEncoding.BASE64
            self.traits = replace(self.traits, takes_base64=base64)
        self.max_inputs = min(
            self.max_inputs, settings.embedding_max_inputs or self.traits.max_inputs or _NO_LIMIT
        )
        self.max_request_tokens = min(
            self.max_request_tokens,
            settings.embedding_max_request_tokens or self.traits.max_request_tokens or _NO_LIMIT,
        )

    @property
    def learns(self) -> bool:
        """See `PaidEmbedder.learns`: what OpenAI takes is known."""
        return not self.is_bill_exact

    @property
    def is_undiscovered(self) -> bool:
        """See `PaidEmbedder.is_undiscovered`."""
        return not (
            self._address.has_known_models or self._own_dimensions or self.traits.dimensions
        )

    @property
    def space(self) -> VectorSpace:
        """Named after model and dimensions: vectors of two lengths are never compared."""
        known = self._settings.embedding_dimensions or self._own_dimensions
        if not known and self.traits.dimensions is None and self._recall is not None:
            self.add_traits(self._recall())
        return VectorSpace(
            self.service, self._model, known or self.traits.dimensions or 0, self._space_version
        )

    @cached_property
    def _space_version(self) -> str:
        prefixes = f"{self.query_prefix}\0{self.document_prefix}"
        if prefixes == "\0":
            return self.space_version
        return f"{self.space_version}+{sha256(prefixes.encode()).hexdigest()[:6]}"

    @property
    def _shortened(self) -> int | None:
        """The length of vectors to ask for; None where the model makes it anyway."""
        wanted = self._settings.embedding_dimensions
        own = self._own_dimensions or self.traits.dimensions
        if wanted is None or wanted == own or self.is_undiscovered:
            return None
        return wanted

    @cached_property
    def produced_by(self) -> Provenance:
        """OpenAI, in the mode real, by this version of its SDK."""
        return Provenance(self.service, "real", self._model, f"v1 sdk {version('openai')}")

    @property
    def price(self) -> Price:
        """Of an input token now; see `Embedder.price`."""
        return self._price_of(self._settings.embedding_usd_per_million)

    @property
    def query_price(self) -> Price:
        """See `PaidEmbedder.query_price`."""
        given = self._settings.embedding_query_usd_per_million
        return self.price if given is None else self._price_of(given)

    def _price_of(self, usd_per_million: Decimal | None) -> Price:
        """By a setting, or that of the model now."""
        return embedding_price(self._model, usd_per_million, provider=self.service)

    @cached_property
    def account(self) -> str:
        """A digest, from which the key can't be restored."""
        parts = (self._key, self._find_address(self._settings) or "", self._model)
        return sha256("\0".join(parts).encode()).hexdigest()[:16]

    @cached_property
    def server(self) -> str:
        """See `PaidEmbedder.server`: the same with another key."""
        parts = (self._address.base or "", self._model)
        return sha256("\0".join(parts).encode()).hexdigest()[:16]

    def load(self) -> None:
        """Load the SDK, which takes 0.5 s."""
        import openai.resources.embeddings  # noqa: F401 - which `openai` itself loads late

    @cached_property
    def _client(self) -> Any:
        settings = self._settings
        dimensions = self.space.dimensions
        if self.is_undiscovered:
            dimensions = max(dimensions, _MOST_UNKNOWN_DIMENSIONS)
        return self.connect(
            timeout_seconds=settings.paid_timeout_seconds,
            max_answer_bytes=_MOST_HEAD_BYTES + self.max_inputs * dimensions * _MOST_BYTES_A_NUMBER,
            limits=httpx2.Limits(
                max_connections=settings.paid_concurrency,
                max_keepalive_connections=settings.paid_concurrency,
            ),
        )

    def connect(self, **given: Any) -> Any:
        """A client of the SDK with the address, the key and the headers of the settings.

        Args:
            given: as of `PaidHttpClient`.
        """
        # Loaded here, because it costs 0.5 s and only paid modes need it.
        import openai

        try:
            http = PaidHttpClient(
                transport=self._transport,
                event_hooks={"request": [self._set_headers]},
                **given,
            )
        except ImportError:
            # The HTTP library needs it for a proxy of the environment.
            raise codes.PACKAGE_MISSING.error(package="socksio") from None
        return openai.AsyncOpenAI(
            api_key=self._key or _NO_KEY,
            base_url=self._address.base,
            default_query=dict(self._address.query) or None,
            max_retries=0,
            timeout=http.timeout,
            http_client=http,
        )

    @cached_property
    def batches(self) -> OpenAIBatches:
        """See `PaidEmbedder.batches`."""
        return OpenAIBatches(self, address=self._address.base)

    @property
    def batch_usd_per_million(self) -> Decimal | None:
        """US dollars for a million tokens in a batch job, if they are set."""
        return self._settings.batch_usd_per_million

    @property
    def request_fingerprint(self) -> str:
        """See `PaidEmbedder.request_fingerprint`: also whether vectors are sent as base64.

        What other processes learned of the server is looked up by the first call.
        """
        if self.learns and self._recall is not None and not self._is_recalled:
            self.add_traits(self._recall())
            self._is_recalled = True
        form = orjson.dumps(self.request_body(), option=orjson.OPT_SORT_KEYS)
        return sha256(self.server.encode() + form).hexdigest()[:16]

    def request_body(self) -> dict[str, Any]:
        """A request without its texts."""
        shortened = self._shortened
        asked: dict[str, Any] = {"dimensions": shortened} if shortened is not None else {}
        encoding = "float" if self.traits.takes_base64 is False else "base64"
        return {"model": self._model, "encoding_format": encoding, **asked}

    async def _set_headers(self, request: httpx2.Request) -> None:
        """Send the headers of the settings, and no key where there is none, or in its own header.

        Not by the SDK, which leaves out some of those that it has itself, such as the project.
        """
        if not self._key or self._address.key_header:
            request.headers.pop("authorization", None)
        if self._address.key_header:
            request.headers[self._address.key_header] = self._key
        request.headers.update(self._settings.embedding_header_fields)

    async def _request(
        self, texts: Sequence[str], request_id: str
    ) -> ServiceResponse[NDArray[np.float32]]:
        """See `PaidEmbedder.request`."""
        import openai

        try:
            raw = await self._client.embeddings.with_raw_response.create(
                input=list(texts),
                extra_headers={"X-Client-Request-Id": request_id},
                **self.request_body(),
            )
        except openai.APIStatusError as error:
            answer = error.response
            raise self._refused(
                answer.status_code, answer.content, answer.headers, len(texts)
            ) from RedactedCause.of(error)
        except openai.APIConnectionError as error:
            raise self._broken(error.__cause__) from RedactedCause.of(error)
        except httpx2.HTTPError as error:
            # The body is read after the SDK's own handling.
            raise self._broken(error) from RedactedCause.of(error)
        headers = raw.headers
        is_new = self.is_undiscovered
        try:
            vectors, tokens, unusable = await asyncio.to_thread(
                decode,
                raw.content,
                len(texts),
                None if is_new else self.space.dimensions,
                is_strict=not self.learns,
            )
        except ErrorBodyError:
            failure = self._refused(raw.status_code, raw.content, headers, len(texts))
            # It answered with success, and may have billed it.
            failure.charge = Charge.BOUND
            raise failure from None
        except ValueError as error:
            raise self._unusable(error, raw, len(texts)) from error
        if self.learns:
            self._learn_from_answer(raw.content, vectors, tokens)
        return ServiceResponse(
            vectors,
            # A request that contains a text costs something.
            quantity=tokens or None,
            request_id=headers.get("x-request-id"),
            rate_limit_headers=rate_limit_headers(headers),
            unusable=unusable,
        )

    async def _probe(self, request_id: str) -> ServiceResponse[None]:
        """Ask for the model by name, which is free."""
        import openai

        try:
            raw = await self._client.models.with_raw_response.retrieve(
                self._model, extra_headers={"X-Client-Request-Id": request_id}
            )
        except openai.APIStatusError as error:
            answer = error.response
            raise self._refused(
                answer.status_code, answer.content, answer.headers, 1
            ) from RedactedCause.of(error)
        except openai.APIConnectionError as error:
            raise self._broken(error.__cause__) from RedactedCause.of(error)
        return ServiceResponse(None, request_id=raw.headers.get("x-request-id"))

    async def close(self) -> None:
        """Close the connections, if any were opened."""
        if "_client" in self.__dict__:
            await self.__dict__.pop("_client").close()
        if "batches" in self.__dict__:
            await self.batches.close()


PROVIDERS = (
    EmbeddingProvider(
        SERVICE,
        OpenAIEmbedder,
        OpenAIEmbedder.for_space,
        is_paid=True,
        daily_limit=lambda settings: settings.openai_daily_cost_limit,
    ),
)
