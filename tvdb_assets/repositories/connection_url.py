"""The URL of the database, in the forms that people and platforms give.

What belongs here: reading a URL or a key-value DSN, and writing it for libpq and for SQLAlchemy.
What does not: connecting (`database`).
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tvdb_assets import error_codes as codes

_SCHEMES = frozenset({"postgresql", "postgres"})
_OF_OTHER_CLIENTS = frozenset(
    {
        # Prisma
        *("pgbouncer", "schema", "connection_limit", "pool_timeout", "socket_timeout"),
        *("statement_cache_size", "sslaccept", "sslidentity"),
        # JDBC, asyncpg and SQLAlchemy
        *("currentSchema", "prepareThreshold", "reWriteBatchedInserts", "stringtype"),
        *("prepared_statement_cache_size", "prepared_statements", "pool_size", "max_overflow"),
        *("async_fallback", "command_timeout", "plugin"),
    }
)
"""Parameters that mean nothing to libpq, in URLs that hosting providers show for other clients."""
_SECRETS = frozenset({"password", "sslpassword", "scram_client_key", "oauth_client_secret"})
"""Options of libpq whose values are secrets."""
_ENCODED = re.compile(r"(?:[\w.~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*", re.ASCII)


def libpq_url(given: str) -> str:
    """A URL that libpq reads, of the same database.

    Drivers in the scheme (``postgresql+psycopg2://``) and parameters of other clients are left out,
    a password with characters that a URL can't have is encoded, and of several hosts the one that
    accepts changes is used unless the URL says otherwise.

    Raises:
        ConfigurationError: it names no Postgres database.
    """
    given = given.strip()
    scheme, separator, rest = given.partition("://")
    if not separator:
        return _of_dsn(given)
    if scheme.partition("+")[0] not in _SCHEMES:
        raise codes.DATABASE_URL_INVALID.error()
    user_info, at, location = rest.rpartition("@")
    user, colon, password = user_info.partition(":")
    user, password = _encoded(user), _encoded(password)
    hosts, _, query = location.partition("?")
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    if hosts.startswith("/") and re.search(r"\w:\d+", parameters.get("host", "")):
        hosts = parameters.pop("host") + hosts  # as of SQLAlchemy
    return f"postgresql://{user}{colon}{password}{at}{hosts}{_query(parameters, hosts)}"


def sqlalchemy_url(url: str, driver: str, **parameters: str) -> str:
    """The URL of `libpq_url` for an engine of SQLAlchemy, with more parameters.

    SQLAlchemy takes several hosts as parameters alone.
    """
    parts = urlsplit(url)
    user_info, at, hosts = parts.netloc.rpartition("@")
    pairs = parse_qsl(parts.query)
    if "," in hosts:
        pairs += [("host", host) for host in hosts.split(",")]
        hosts = ""
    pairs += parameters.items()
    query = "?" + urlencode(pairs, quote_via=quote) if pairs else ""
    return f"postgresql+{driver}://{user_info}{at}{hosts}{parts.path}{query}"


def _of_dsn(dsn: str) -> str:
    try:
        values = {name: str(value) for name, value in conninfo_to_dict(dsn).items()}
    except psycopg.ProgrammingError:
        # The cause would repeat a part of it, which may be the password.
        raise codes.DATABASE_URL_INVALID.error() from None
    if not values:
        raise codes.DATABASE_URL_INVALID.error()
    hosts = values.pop("host", "").split(",")
    ports = values.pop("port", "").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    named = ",".join(
        quote(host, safe="[]:" if host.startswith("[") else "") + (f":{port}" if port else "")
        for host, port in zip(hosts, ports, strict=False)
    )
    user, password = quote(values.pop("user", ""), safe=""), values.pop("password", None)
    secret = "" if password is None else ":" + quote(password, safe="")
    at = "@" if user or secret else ""
    path = "/" + quote(values.pop("dbname", ""), safe="")
    return f"postgresql://{user}{secret}{at}{named}{path}{_query(values, named)}"


def _query(parameters: dict[str, str], hosts: str) -> str:
    kept = {name: v for name, v in parameters.items() if name not in _OF_OTHER_CLIENTS}
    if (is_encrypted := kept.pop("ssl", None)) is not None and is_encrypted != "false":
        kept.setdefault("sslmode", "require")
    if kept.get("sslmode") == "no-verify":
        kept["sslmode"] = "require"
    if "," in hosts.partition("/")[0] + kept.get("host", ""):
        kept.setdefault("target_session_attrs", "read-write")
    return "?" + urlencode(kept, quote_via=quote) if kept else ""


def _encoded(part: str) -> str:
    return part if _ENCODED.fullmatch(part) else quote(part, safe="")


def password_of(url: str) -> str:
    """The password of a URL of `libpq_url`; empty if it has none."""
    parts = urlsplit(url)
    return unquote(parts.password or "") or dict(parse_qsl(parts.query)).get("password", "")


def without_password(url: str) -> str:
    """A URL of `libpq_url` without its passwords, for people and programs that have their own."""
    parts = urlsplit(url)
    user_info, at, hosts = parts.netloc.rpartition("@")
    user = user_info.partition(":")[0]
    public = [(name, value) for name, value in parse_qsl(parts.query) if name not in _SECRETS]
    return urlunsplit(
        parts._replace(
            netloc=user + (at if user else "") + hosts, query=urlencode(public, quote_via=quote)
        )
    )
