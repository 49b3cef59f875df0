"""The URL of the database in the forms that people and platforms give."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url

from tvdb_assets.errors import ConfigurationError
from tvdb_assets.repositories.connection_url import libpq_url, password_of, sqlalchemy_url

PLAIN = {"user": "u", "password": "p", "host": "h", "port": "5433", "dbname": "d"}


@pytest.mark.parametrize(
    "given",
    [
        "postgresql://u:p@h:5433/d",
        "postgres://u:p@h:5433/d",
        "postgresql+psycopg2://u:p@h:5433/d",
        "postgresql+asyncpg://u:p@h:5433/d?prepared_statement_cache_size=0",
        " postgresql://u:p@h:5433/d?pgbouncer=true&schema=public&connection_limit=1\n",
        "host=h port=5433 dbname=d user=u password=p",
        "host='h' port='5433' dbname=d user=u password='p'",
    ],
)
def test_forms_of_one_database_are_the_same(given: str) -> None:
    assert conninfo_to_dict(libpq_url(given)) == PLAIN


@pytest.mark.parametrize(
    "password", ["p@ss", "a/b", "a#b?c", "100%", "%zz", "a b", "ü", "a:b", "'\\"]
)
def test_a_password_may_have_any_character(password: str) -> None:
    for given in (
        f"postgresql://u:{password}@h/d",
        "host=h dbname=d user=u password='"
        + password.replace("\\", r"\\").replace("'", r"\'")
        + "'",
    ):
        url = libpq_url(given)
        assert conninfo_to_dict(url)["password"] == password
        assert password_of(url) == password
        assert libpq_url(url) == url
        assert make_url(sqlalchemy_url(url, "psycopg2")).password == password


def test_an_encoded_password_stays_as_it_is() -> None:
    assert conninfo_to_dict(libpq_url("postgresql://u:p%40ss@h/d"))["password"] == "p@ss"


@pytest.mark.parametrize(
    ("given", "sslmode"),
    [
        ("postgresql://h/d?sslmode=verify-full", "verify-full"),
        ("postgresql://h/d?sslmode=no-verify", "require"),
        ("postgresql://h/d?ssl=true", "require"),
        ("postgresql://h/d?ssl=false", None),
    ],
)
def test_encryption_is_as_the_url_says(given: str, sslmode: str | None) -> None:
    assert conninfo_to_dict(libpq_url(given)).get("sslmode") == sslmode


@pytest.mark.parametrize(
    "given",
    [
        "postgresql://u:p@h1:1,h2:2/d",
        "host=h1,h2 port=1,2 dbname=d user=u password=p",
        "postgresql+psycopg2://u:p@/d?host=h1:1&host=h2:2",
    ],
)
def test_of_several_hosts_the_one_that_accepts_changes_is_used(given: str) -> None:
    url = libpq_url(given)
    found = conninfo_to_dict(url)
    assert (found["host"], found["port"]) == ("h1,h2", "1,2")
    assert found["target_session_attrs"] == "read-write"
    assert libpq_url(sqlalchemy_url(url, "psycopg2", plugin="x")) == url
    any_host = libpq_url("postgresql://h1,h2/d?target_session_attrs=any")
    assert conninfo_to_dict(any_host)["target_session_attrs"] == "any"


@pytest.mark.parametrize("given", ["", "secret", "mysql://u:secret@h/d", "secret = x", "http://h"])
def test_what_names_no_postgres_database_is_refused_without_its_text(given: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        libpq_url(given)
    assert caught.value.code == "database_url_invalid"
    assert "secret" not in str(caught.value)
