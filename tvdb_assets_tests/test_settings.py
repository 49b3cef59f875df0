"""Settings that are stored, or that decide what is stored, keep their form between releases."""

from __future__ import annotations

import pytest

from tvdb_assets.errors import ConfigurationError
from tvdb_assets.settings import load_settings


def test_the_fingerprint_of_the_limits_is_the_one_that_earlier_releases_stored() -> None:
    assert load_settings().limits_fingerprint == "limits:dae8fc65e3e5 "


@pytest.mark.parametrize(
    "limit",
    [
        {"max_pages": 7},
        {"ocr_languages": "eng"},
        {"parse_timeout_seconds": 7.0},
        {"parse_memory_mib": 777},
    ],
)
def test_the_fingerprint_of_the_limits_changes_with_each_limit(limit: dict[str, object]) -> None:
    fingerprint = load_settings(**limit).limits_fingerprint
    assert fingerprint != load_settings().limits_fingerprint
    assert fingerprint == load_settings(**limit).limits_fingerprint


def test_the_environment_wins_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("project")
    (folder / ".env").write_text("TVDB_CHUNK_TOKENS=100\nTVDB_SOURCE=from-file\n", "utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TVDB_CHUNK_TOKENS", "200")
    settings = load_settings()
    assert (settings.chunk_tokens, settings.source) == (200, "from-file")


@pytest.mark.parametrize(
    "name",
    [
        *("TVDB_PORT", "TVDB_SERVICE_HOST", "TVDB_SERVICE_PORT", "TVDB_SERVICE_PORT_HTTP"),
        *("TVDB_PORT_5432_TCP", "TVDB_PORT_5432_TCP_ADDR", "TVDB_PORT_53_UDP_PROTO"),
        *("TVDB_WEB_PORT", "TVDB_POSTGRES_RW_SERVICE_HOST", "TVDB_WEB_PORT_80_TCP_PORT"),
    ],
)
def test_variables_of_a_service_that_is_named_tvdb_are_no_settings(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "tcp://10.0.0.7:5432")
    load_settings()
    monkeypatch.setenv("TVDB_SERVICE_MODES", "mock")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert caught.value.code == "unknown_setting"
