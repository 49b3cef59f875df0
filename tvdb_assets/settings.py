"""Typed settings, which a program reads once at its start and passes on as a value.

What belongs here: every ``TVDB_`` name with its type, unit, bounds and default. What does not:
the defaults of `DocumentLimits`. No other module reads these names, and no import reads them.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dotenv import dotenv_values
from pydantic import (
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from tvdb_assets import deprecation, working_folder
from tvdb_assets import error_codes as codes
from tvdb_assets.document_limits import DocumentLimits
from tvdb_assets.redaction import configure

PREFIX = "TVDB_"
_SERVICE_LINK = re.compile(
    r"TVDB_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|NAME|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LIMITS = DocumentLimits()
_SECRET_NAMES = re.compile(
    r"SECRET|TOKEN|PASSWORD|API_?KEY|ACCOUNT_?KEY|ACCESS_?KEY|OTEL_.*HEADERS"
)
_OF_PROVIDERS = re.compile(r"[A-Z][A-Z0-9_]*_(?:API_KEY|BASE_URL)")
"""The pattern of variables that a provider may read without a field here."""
_MIN_SECRET_LENGTH = 12
"""A shorter value may be an ordinary word, and redaction would remove it from every text."""


class ServiceMode(StrEnum):
    """The client that a service uses; `routing.service_router` explains each mode."""

    MOCK = "mock"
    LOCAL = "local"
    REAL = "real"
    HYBRID = "hybrid"


class SwitchMode(StrEnum):
    """The condition under which search reads a new index."""

    MANUAL = "manual"
    AUTO = "auto"


class OverBudget(StrEnum):
    """What a search does when the budget has no room for the vector of a question."""

    REFUSE = "refuse"
    WORDS = "words"


class BatchMode(StrEnum):
    """Which texts are embedded by batch jobs of a paid service."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class EmbeddingEncoding(StrEnum):
    """How a server is asked for vectors."""

    BASE64 = "base64"
    FLOAT = "float"


class LogFormat(StrEnum):
    """Format of log events."""

    TEXT = "text"
    JSON = "json"


class Settings(BaseSettings):
    """All settings, validated. Use `load_settings` to create them."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore"
    )

    database_url: SecretStr | None = None
    """URL of a Postgres 14 or newer with pgvector 0.8 or newer. If not set, an embedded server is
    started."""
    source: str = "./documents"
    """Folder that holds the documents, or an ``s3://``, ``gs://`` or ``az://`` URL. Left out are
    files and folders whose names begin with a dot or ``~$``, and Thumbs.db and desktop.ini. A
    link in a folder is read if it leads to a file in the same source, and through no name that is
    left out."""
    source_timeout_seconds: float = Field(60.0, gt=0)
    """Seconds for which the source may give no answer while it is listed or read. A listing then
    breaks off and deletes nothing; a document fails with the code ``read_stalled``."""
    asset_key_prefix: str = Field("", pattern=r"^(?:[A-Za-z0-9_]+(?:/[A-Za-z0-9_]+)*)?$")
    """Prefix of the keys of the assets and of the names of sensors, schedules and jobs; its parts
    are separated by ``/``. Runs of commands materialize the assets with this prefix."""

    service_mode: ServiceMode = ServiceMode.LOCAL
    """Mode of parsing and embedding."""
    parser_mode: ServiceMode | None = None
    """Mode of parsing alone. If not set, the mode of all services."""
    embedder_mode: ServiceMode | None = None
    """Mode of embedding alone. If not set, the mode of all services."""
    embedder: str = "openai"
    """Provider that embeds in the modes ``real`` and ``hybrid``. With its model or its address, as
    ``ollama:nomic-embed-text`` or ``tei:http://127.0.0.1:8080``."""
    parser: str = "llamaparse"
    """Provider that parses in the modes ``real`` and ``hybrid``."""

    chunk_tokens: int = Field(512, ge=16, le=8_191)
    """Maximum cl100k_base tokens in a chunk."""
    chunk_overlap_tokens: int = Field(64, ge=0)
    """Maximum cl100k_base tokens that a chunk repeats from the chunk before it; at most half of
    ``TVDB_CHUNK_TOKENS``."""

    switch: SwitchMode = SwitchMode.MANUAL
    """When search reads a new index: after ``tvdb switch`` (``manual``), or as soon as the index is
    complete (``auto``)."""

    parse_timeout_seconds: float = Field(60.0, gt=0)
    """Seconds. A parse that takes longer is killed, and its document fails."""
    parse_memory_mib: int = Field(1_024, ge=64)
    """MiB. A parser process that needs more is killed, and its document fails."""
    parse_workers: int = Field(default_factory=lambda: min(4, os.cpu_count() or 1), ge=1, le=64)
    """Parser processes that run in parallel."""
    parse_worker_documents: int = Field(500, ge=1)
    """Documents after which a parser process that several may share is replaced."""
    # `DocumentLimits` has the defaults and explains each limit.
    max_document_mib: int = Field(_LIMITS.max_document_mib, ge=1)
    max_pages: int = Field(_LIMITS.max_pages, ge=1)
    max_cells: int = Field(_LIMITS.max_cells, ge=1)
    max_expanded_mib: int = Field(_LIMITS.max_expanded_mib, ge=1)
    max_members: int = Field(_LIMITS.max_members, ge=1)
    max_depth: int = Field(_LIMITS.max_depth, ge=0, le=10)
    max_picture_megapixels: int = Field(_LIMITS.max_picture_megapixels, ge=1)
    ocr_max_pages: int = Field(_LIMITS.ocr_max_pages, ge=0)
    ocr_dpi: int = Field(_LIMITS.ocr_dpi, ge=72, le=600)
    ocr_languages: str | None = Field(_LIMITS.ocr_languages, pattern=r"^\w+(?:\+\w+)*$")

    daily_cost_limit: Decimal = Field(Decimal("5.00"), ge=0)
    """US dollars per UTC day for all paid services together."""
    openai_daily_cost_limit: Decimal | None = Field(None, ge=0)
    """US dollars per UTC day for embeddings alone. If not set, only the common limit applies."""
    llamaparse_daily_cost_limit: Decimal | None = Field(None, ge=0)
    """US dollars per UTC day for paid parsing alone. If not set, only the common limit applies."""
    hourly_rate_limit: int = Field(100, ge=0)
    """Paid requests in any 60 minutes, for each service. If not set, a service whose price is set
    to 0 has no such limit."""
    embedding_model: str = "text-embedding-3-small"
    """OpenAI's embedding model."""
    embedding_dimensions: int | None = Field(None, ge=1)
    """Dimensions of shortened vectors, if the model supports them. If not set, the model's own
    number, which is found from the first answer of a server that is not OpenAI's."""
    embedding_usd_per_million: Decimal | None = Field(None, ge=0)
    """US dollars per million tokens, for a model without a known price; 0 for your own server."""
    embedding_query_usd_per_million: Decimal | None = Field(None, ge=0)
    """US dollars per million tokens of questions, where they cost another price than documents."""
    batch: BatchMode = BatchMode.AUTO
    """Which documents are embedded by batch jobs, for half of the price and within a day: those of
    the nightly catch-up and of backfills, if OpenAI serves them (``auto``), all of them
    (``always``), or none (``never``)."""
    batch_texts: int = Field(5_000, ge=1, le=50_000)
    """Maximum texts in a batch job. With chunks of 512 tokens, 5,000 are within the 3,000,000
    tokens that OpenAI lets a new account have in its queue."""
    batch_usd_per_million: Decimal | None = Field(None, ge=0)
    """US dollars per million tokens in a batch job. If not set, half of the price without one; of
    another server than OpenAI's, the same price."""
    embedding_base_url: str | None = None
    """URL of the embedding server. If not set, that of the provider."""
    embedding_query_prefix: str | None = None
    """Text before each question, as ``query: ``. If not set, that of the model, if the provider is
    a preset."""
    embedding_document_prefix: str | None = None
    """Text before each passage, as ``passage: ``. If not set, as for questions."""
    embedding_max_inputs: int | None = Field(None, ge=1)
    """Most texts in a request to the embedding server. If not set, it is learned."""
    embedding_max_request_tokens: int | None = Field(None, ge=1)
    """Most tokens in a request to the embedding server. If not set, it is learned."""
    embedding_encoding: EmbeddingEncoding | None = None
    """How vectors are sent: ``base64`` or ``float``. If not set, it is learned."""
    embedding_headers: SecretStr | None = None
    """Headers of each request to the embedding server, as ``Name: value``, separated by ``;``.
    Secret, because such headers often contain a key."""
    azure_api_version: str | None = Field(None, pattern=r"^[\w.-]+$")
    """Version of Azure's API, for the address of a resource with deployments. If not set, Azure's
    ``/openai/v1`` is used, which needs none."""
    llamaparse_tier: str = "cost_effective"
    """``fast`` (plain text), ``cost_effective``, ``agentic`` or ``agentic_plus``."""
    llamaparse_cost_optimizer: bool = False
    """Whether LlamaParse does simple pages by a cheaper tier, in the tiers ``agentic`` and
    ``agentic_plus``. The full price is reserved, and what is billed is recorded."""
    llamaparse_version: str | None = None
    """Version of the tier, as a date. If not set, the newest version that this release knows. It
    is part of the parser's fingerprint, because it decides the text."""
    llamaparse_timeout_seconds: float = Field(900.0, gt=0)
    """Seconds. The longest wait for one job. After it, the document fails and may be retried."""
    paid_concurrency: int = Field(8, ge=1, le=64)
    """Paid requests in flight at the same time in one process."""
    paid_attempts: int = Field(6, ge=1, le=20)
    """Attempts of one paid call, the first included."""
    paid_timeout_seconds: float = Field(60.0, gt=0, le=100)
    """Seconds. A paid request that takes longer is cancelled, and its possible cost is recorded.
    Less than the lease of a breaker's probe, so that no second probe starts during a slow one."""
    paid_max_wait_seconds: float = Field(120.0, ge=0)
    """Seconds. The longest single wait for a limit, a breaker or a service before work is
    deferred."""
    alert_webhook_url: SecretStr | None = None
    """Receives each budget threshold as a POST of JSON. Secret, because such URLs often contain a
    key."""
    alert_webhook_secret: SecretStr | None = None
    """Signs each POST to the webhook."""
    private_paths: str = ""
    """Globs, separated by commas. The names of matching files are stored in the table
    ``tvdb.documents`` only and appear in no log, event, trace or request to a provider."""
    log_format: LogFormat = LogFormat.TEXT
    """Format of log events."""
    ui_hosts: str = ""
    """Names, separated by commas, under which a proxy offers the UI of ``tvdb dev``. Under any
    other name than these and ``localhost``, the UI answers nothing."""
    search_over_budget: OverBudget = OverBudget.REFUSE
    """What a search of a paid index does when the budget is used up: end with an error
    (``refuse``), or compare words alone and say so (``words``)."""
    evaluation_queries: Path | None = None
    """File of questions with their answers. If set, ``retrieval_evaluation`` runs each night, and
    ``tvdb switch`` compares both indexes on it."""
    evaluation_floor: float = Field(0.0, ge=0, le=1)
    """nDCG@10 below which the asset check of ``retrieval_evaluation`` fails."""
    evaluation_cron: str = "30 5 * * *"
    """When ``retrieval_evaluation`` runs, in UTC."""
    serve_token: SecretStr | None = None
    """Secret of at least 16 characters that requests to ``tvdb serve`` and ``tvdb mcp --http``
    contain. Required on an address that other machines reach."""
    serve_hosts: str = ""
    """Names, separated by commas, under which a proxy offers ``tvdb serve`` or ``tvdb mcp --http``
    on this machine. Under any other name than these and ``localhost``, a service on a loopback
    address answers nothing."""
    sensor_seconds: int = Field(30, ge=1)
    """Minimum seconds between two evaluations of ``cost_sensor``."""
    batch_seconds: int = Field(60, ge=1)
    """Minimum seconds between two evaluations of ``batch_sensor``."""
    intake_seconds: int = Field(60, ge=0)
    """Minimum seconds between two scans of the source by ``document_intake``; 0 turns it off."""
    intake_settle_seconds: float = Field(5.0, ge=0)
    """Seconds. A file that was written to within this time is left for the next scan."""
    deletion_share: float = Field(0.25, ge=0, le=1)
    """Share of the documents that one scan may find gone. If more are gone, and more than 20, they
    are not deleted until ``tvdb ingest --delete`` confirms it."""
    catch_up_cron: str = "30 2 * * *"
    """When ``nightly_catch_up`` runs, in UTC."""
    maintenance_cron: str = "30 4 * * *"
    """When ``nightly_maintenance`` runs, in UTC."""
    retention_days: int = Field(90, ge=1)
    """Days for which logs of runs and histories of documents are kept."""
    cache_days: int = Field(30, ge=0)
    """Days for which vectors, and texts that a paid service parsed, are kept that no document
    needs, in case its file returns."""
    run_partitions: int = Field(1_000, ge=1)
    """Maximum documents in one run."""

    dagster_home: Path | None = Field(None, validation_alias="DAGSTER_HOME")
    """Folder of Dagster's instance and of the embedded server. If not set, ``.tvdb`` next to the
    nearest ``dagster.yaml``."""
    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    """Key of OpenAI."""
    openai_base_url: str | None = Field(None, validation_alias="OPENAI_BASE_URL")
    """URL of another server with the same API. If not set, OpenAI's own."""
    llama_cloud_api_key: SecretStr | None = Field(None, validation_alias="LLAMA_CLOUD_API_KEY")
    """Key of LlamaParse."""
    llama_cloud_base_url: str | None = Field(None, validation_alias="LLAMA_CLOUD_BASE_URL")
    """URL of another server with the same API. If not set, LlamaParse's own."""

    _provider_variables: Mapping[str, SecretStr] = PrivateAttr(default_factory=dict)
    _home_is_trusted: bool = PrivateAttr(default=True)

    @field_validator("chunk_overlap_tokens")
    @classmethod
    def _check_overlap(cls, value: int, info: object) -> int:
        tokens = getattr(info, "data", {}).get("chunk_tokens")
        if tokens is not None and value * 2 > tokens:
            raise ValueError(f"must be at most half of TVDB_CHUNK_TOKENS ({tokens})")
        return value

    @field_validator("catch_up_cron", "maintenance_cron", "evaluation_cron")
    @classmethod
    def _check_cron_line(cls, value: str) -> str:
        # Only the form is checked; Dagster interprets the fields.
        fields = value.split()
        if len(fields) != 5 or not all(re.fullmatch(r"[\w*,/-]+", part) for part in fields):
            raise ValueError("must have five fields: minute hour day month weekday")
        return value

    @field_validator("openai_api_key", "llama_cloud_api_key")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        # A key that was read from a file often ends with a line break.
        key = value.get_secret_value().strip()
        if not all("!" <= character <= "~" for character in key):
            raise ValueError("contains a character that no key has")
        return SecretStr(key)

    @field_validator("serve_token")
    @classmethod
    def _check_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        token = value.get_secret_value().strip()
        if len(token) < 16 or not all("!" <= character <= "~" for character in token):
            raise ValueError("must have at least 16 characters, all of ASCII and without spaces")
        return SecretStr(token)

    @model_validator(mode="before")
    @classmethod
    def _split_embedder(cls, given: object) -> object:
        """``ollama:nomic-embed-text`` names a provider and its model, or its address."""
        if not isinstance(given, dict) or ":" not in str(given.get("embedder") or ""):
            return given
        name, _, rest = str(given["embedder"]).partition(":")
        parts = urlsplit(rest)
        is_address = parts.scheme in ("http", "https")
        # A server of one model says nothing of its name. A password in the address is not part of
        # it: the name of a model is shown.
        host = parts.netloc.rpartition("@")[2]
        model = f"{host}{parts.path.rstrip('/')}" if is_address else rest.strip()
        if not model:
            raise ValueError("TVDB_EMBEDDER names no model after the colon")
        settings = {"embedding_model": model, **given, "embedder": name.strip()}
        if not is_address and settings["embedding_model"] != model:
            raise ValueError("TVDB_EMBEDDER and TVDB_EMBEDDING_MODEL name different models")
        if is_address:
            settings.setdefault("embedding_base_url", rest)
        return settings

    @field_validator("openai_base_url", "llama_cloud_base_url", "embedding_base_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("must begin with http:// or https:// and a host")
        return value

    @field_validator("embedding_headers")
    @classmethod
    def _check_headers(cls, value: SecretStr | None) -> SecretStr | None:
        for part in value.get_secret_value().split(";") if value is not None else ():
            if part.strip() and not re.fullmatch(r"\s*[\w-]+\s*:\s*[\x20-\x7e]+", part):
                raise ValueError("must be 'Name: value', several separated by ';'")
        return value

    @property
    def embedding_header_fields(self) -> Mapping[str, str]:
        """The headers of each request to the embedding server, by name in lower case."""
        given = self.embedding_headers.get_secret_value() if self.embedding_headers else ""
        parts = [part.split(":", 1) for part in given.split(";") if part.strip()]
        return {name.strip().lower(): value.strip() for name, value in parts}

    @property
    def document_limits(self) -> DocumentLimits:
        """The limits on one document."""
        return DocumentLimits(
            **{field.name: getattr(self, field.name) for field in fields(DocumentLimits)}
        )

    @property
    def limits_fingerprint(self) -> str:
        """A fingerprint that changes with each limit of parsing, including time and memory."""
        values = ", ".join(
            f"{name}={value!r}" for name, value in asdict(self.document_limits).items()
        )
        # Stored with each document that exceeded a limit: another form would retry all of them.
        text = f"(Limits({values}), {self.parse_timeout_seconds!r}, {self.parse_memory_mib!r})"
        return f"limits:{sha256(text.encode()).hexdigest()[:12]} "

    def provider_variable(self, name: str) -> SecretStr | None:
        """Read a key or an address of a provider without a field here, such as ``VOYAGE_API_KEY``.

        Returns:
            None if it is not set, or if its name does not end with ``_API_KEY`` or ``_BASE_URL``.
        """
        return self._provider_variables.get(name)

    @property
    def home_is_trusted(self) -> bool:
        """Whether the environment or the caller named the home, not the working folder."""
        return self._home_is_trusted

    @property
    def resolved_parser_mode(self) -> ServiceMode:
        """The parser's own mode, or the mode of all services."""
        return self.parser_mode or self.service_mode

    @property
    def resolved_embedder_mode(self) -> ServiceMode:
        """The embedder's own mode, or the mode of all services."""
        return self.embedder_mode or self.service_mode


_ALIASES = {field.validation_alias for field in Settings.model_fields.values()} - {None}


def load_settings(**overrides: object) -> Settings:
    """Read the environment and the ``.env`` of the working folder. The environment has precedence.

    Args:
        overrides: values that take precedence over the environment, by name of the field, or by
            name of the variable for a field without the prefix ``TVDB_``.

    Raises:
        ConfigurationError: a ``TVDB_`` name is unknown, or values are invalid; lists all of them.
            Or the ``.env`` decides where secrets of the environment are sent, see
            `working_folder`.
        TypeError: an override is not a setting.
    """
    for name in overrides:
        if name not in Settings.model_fields and name not in _ALIASES:
            raise TypeError(f"load_settings() got an unexpected keyword argument {name!r}")
    return _load(overrides, is_allowed=False)


def is_service_link(name: str) -> bool:
    """Whether a variable is one that Kubernetes or Docker sets for a service whose name is tvdb.

    A service ``tvdb`` or ``tvdb-web`` gives every pod of its namespace ``TVDB_SERVICE_HOST``,
    ``TVDB_PORT``, ``TVDB_WEB_PORT_80_TCP_ADDR`` and others, which no one can prevent who does not
    own the pod. None of them is a setting.
    """
    return _SERVICE_LINK.fullmatch(name.upper()) is not None


def load_before_allowing() -> Settings:
    """Read the same as `load_settings`, for the command that allows the ``.env``."""
    return _load({}, is_allowed=True)


def _load(overrides: Mapping[str, object], *, is_allowed: bool) -> Settings:
    try:
        from_file = dotenv_values(working_folder.ENV_FILE)
    except (OSError, UnicodeDecodeError) as error:
        raise codes.BAD_ENV_FILE.error(kind=type(error).__name__) from None
    named_by_file = _with_new_names(from_file)
    if not is_allowed:
        working_folder.check_env_file(named_by_file, overrides)
    environment = named_by_file | _with_new_names(os.environ)
    known = {_environment_name(name) for name in Settings.model_fields}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name.upper() not in known and not is_service_link(name):
            close = difflib.get_close_matches(name, known, n=1)
            if close:
                raise codes.MISSPELT_SETTING.error(name=name, similar=close[0])
            raise codes.UNKNOWN_SETTING.error(name=name)
    # An empty value means "not set": shells and CI systems write it that way.
    values = {
        field.validation_alias or name: environment[_environment_name(name)]
        for name, field in Settings.model_fields.items()
        if environment.get(_environment_name(name))
    }
    try:
        settings = Settings.model_validate({**values, **overrides})
    except ValidationError as error:
        # The cause would repeat the value, which may be a secret.
        raise codes.BAD_SETTING.error(problems=_describe(error)) from None
    settings._home_is_trusted = bool(
        os.environ.get("DAGSTER_HOME") or {"dagster_home", "DAGSTER_HOME"} & set(overrides)
    )
    settings._provider_variables = {
        name: SecretStr(value.strip())
        for name, value in environment.items()
        if value.strip() and _OF_PROVIDERS.fullmatch(name)
    }
    configure(_secrets(settings, environment), settings.private_paths)
    return settings


def _with_new_names(variables: Mapping[str, str | None]) -> dict[str, str]:
    """Rename old names of settings to the new ones. If both are set, the new one has precedence."""
    renamed = {name: value for name, value in variables.items() if value is not None}
    for old, rename in deprecation.SETTINGS.items():
        if old in renamed:
            value = renamed.pop(old)
            if value:
                deprecation.warn_of(rename)
                renamed[rename.new] = renamed.get(rename.new) or value
    return renamed


def _secrets(settings: Settings, environment: Mapping[str, str]) -> Iterator[str]:
    """Values that no log may contain: secret settings, and variables with the name of a secret."""
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
    if settings.database_url is not None:
        yield unquote(urlsplit(settings.database_url.get_secret_value()).password or "")
    # A team's name is short, a key is not.
    headers = settings.embedding_header_fields.values()
    yield from (value for value in headers if len(value) >= _MIN_SECRET_LENGTH)
    for name, text in environment.items():
        if _SECRET_NAMES.search(name) and len(text) >= _MIN_SECRET_LENGTH:
            yield text


def _environment_name(field_name: str) -> str:
    alias = Settings.model_fields[field_name].validation_alias
    return alias if isinstance(alias, str) else PREFIX + field_name.upper()


def _describe(error: ValidationError) -> str:
    problems = []
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        field_name = str(detail["loc"][0]) if detail["loc"] else ""
        known = field_name in Settings.model_fields
        problems.append(
            f"{_environment_name(field_name) if known else field_name}: {detail['msg']}."
        )
    return " ".join(problems)
