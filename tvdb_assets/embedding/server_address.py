"""The address of an embedding server, as people have it: pure.

What belongs here: from an address of the settings to the base of all requests, with the query and
the header that a server wants. What does not: the request (`providers.openai`), or proxies and
certificates, which the HTTP client takes from the environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

OPENAI_HOST = "api.openai.com"
_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_OPENAI_HOSTS = (".openai.com", ".openai.azure.com")
_BASES = {
    "generativelanguage.googleapis.com": "/v1beta/openai",
    "dashscope.aliyuncs.com": "/compatible-mode/v1",
    "dashscope-intl.aliyuncs.com": "/compatible-mode/v1",
}
"""Hosts whose base is not ``/v1``."""
_ENDPOINTS = ("/embeddings", "/chat/completions", "/models")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where the requests go."""

    base: str | None
    """``/embeddings`` follows; None is that of OpenAI's SDK."""
    query: tuple[tuple[str, str], ...] = ()
    """Of each request."""
    key_header: str = ""
    """The header of the key, if it is not ``Authorization``."""

    @property
    def is_of_openai(self) -> bool:
        """Whether OpenAI's models answer there, and are billed by their own tokens."""
        host = urlsplit(self.base).hostname if self.base else OPENAI_HOST
        return host is not None and f".{host}".endswith(_OPENAI_HOSTS)

    @property
    def has_known_models(self) -> bool:
        """Whether it is OpenAI's own address, where models have their own names."""
        host = urlsplit(self.base).hostname if self.base else OPENAI_HOST
        return host is not None and f".{host}".endswith(".openai.com")

    @property
    def needs_key(self) -> bool:
        """Whether it certainly refuses a request without a key."""
        host = urlsplit(self.base).hostname if self.base else OPENAI_HOST
        return host is not None and f".{host}".endswith((".openai.com", *_AZURE_HOSTS))


def server_address(given: str | None, model: str, api_version: str | None = None) -> ServerAddress:
    """The address of the requests.

    Args:
        given: of the settings; with or without ``/v1``, a slash at its end, or ``/embeddings``; of
            Azure, that of the resource or of a deployment.
        model: the deployment of Azure, where the address names none.
        api_version: of Azure; a query ``api-version`` of the address has precedence. None uses
            Azure's ``/openai/v1``, which needs no version.
    """
    if given is None:
        return ServerAddress(None)
    parts = urlsplit(given.strip())
    path = parts.path.rstrip("/")
    for endpoint in _ENDPOINTS:
        path = path.removesuffix(endpoint)
    path = path.rstrip("/")
    query = dict(parse_qsl(parts.query))
    host = parts.hostname or ""
    is_azure = f".{host}".endswith(_AZURE_HOSTS)
    if is_azure or "/openai/deployments/" in path:
        version = query.get("api-version") or api_version
        if "/deployments/" not in path and path in ("", "/openai"):
            path = "/openai/v1" if version is None else f"/openai/deployments/{quote(model)}"
        if version is not None and not path.endswith("/v1"):
            query["api-version"] = version
    elif not path:
        path = _BASES.get(host, "/v1")
    base = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
    return ServerAddress(
        base, tuple(query.items()), "api-key" if is_azure or "/deployments/" in path else ""
    )
