"""Codes of requests to the search service and to the MCP server.

What belongs here: a request that can't be answered, and a service that must not start. What does
not: how to add one (`error_codes`).
"""

from __future__ import annotations

from typing import Final

from tvdb_assets.errors import ConfigurationError, ErrorCode

TOKEN_REQUIRED: Final = ErrorCode(
    ConfigurationError,
    "token_required",
    "Without a token, the service listens on this machine only, and {address} is reachable from "
    "others.",
    "Set TVDB_SERVE_TOKEN to a secret of 16 characters or more, e.g. of `openssl rand -hex 32`, "
    "or leave out --host.",
    "A service that other machines reach would answer everyone.",
)
ADDRESS_UNUSABLE: Final = ErrorCode(
    ConfigurationError,
    "address_unusable",
    "The service can't listen on {address}: {why}.",
    "Choose another --port, or a --host that is an address of this machine.",
    "The address is not of this machine, or another program uses the port.",
)
TOKEN_WRONG: Final = ErrorCode(
    ConfigurationError,
    "token_wrong",
    "The request has no valid token.",
    "Send the header `Authorization: Bearer` with the value of TVDB_SERVE_TOKEN of the service.",
    "A request to the search service is not authorized.",
)
REQUEST_FOREIGN: Final = ErrorCode(
    ConfigurationError,
    "request_foreign",
    "{why}",
    "Send the request from the service's own page, or from a program.",
    "A page of another site, or a name that is not the service's own, was used.",
)
REQUEST_INVALID: Final = ErrorCode(
    ConfigurationError,
    "request_invalid",
    "The request is not valid: {problems}.",
    "Correct the request. The page /docs of the service describes each field.",
    "A field of a request is missing, unknown or out of range.",
)
ADDRESS_UNKNOWN: Final = ErrorCode(
    ConfigurationError,
    "address_unknown",
    "The service does not answer {method} at this address.",
    "The page /docs of the service lists what it answers.",
    "The path or the method of a request is unknown.",
)
EXTRA_MISSING: Final = ErrorCode(
    ConfigurationError,
    "extra_missing",
    "{feature} needs the package {package}, which is not installed.",
    "Install it with `pip install 'tvdb-assets[{extra}]'`.",
    "An optional part of this package is not installed.",
)
QUERIES_UNREADABLE: Final = ErrorCode(
    ConfigurationError,
    "queries_unreadable",
    "The file of questions {file} can't be read ({why}).",
    "Check its path and that it is text in UTF-8.",
    "A file of questions for an evaluation can't be read.",
)
QUERIES_INVALID: Final = ErrorCode(
    ConfigurationError,
    "queries_invalid",
    "Line {line:,} of {file} is not a question: {why}.",
    "Each line is a JSON object with a question and the paths of its documents. The guide to "
    "evaluation describes the fields and shows examples.",
    "A file of questions for an evaluation has a wrong line.",
)
INDEX_WORSE: Final = ErrorCode(
    ConfigurationError,
    "index_worse",
    "Index {index} finds less than the one that search reads: {measure} is {after:.3f} instead of "
    "{before:.3f} for {queries:,} questions.",
    "Keep the index, or add --force to switch all the same. tvdb evaluate shows all measures.",
    "A switch to this index would make the answers of known questions worse.",
)
