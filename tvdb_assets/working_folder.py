"""What the files of the working folder may decide: nothing that this user did not create or allow.

What belongs here: the record of what the user allowed, and the checks of ``.env``, of the home
folder ``.tvdb`` and of ``dagster.yaml``. What does not: the meaning of their contents.

A folder may come from anywhere: an archive, a clone, a shared disk. Its ``.env`` could send the key
of the environment to another server, its ``.tvdb`` could contain a database that runs programs, and
its ``dagster.yaml`` could name any class. So, as with direnv, these are refused until the user runs
``tvdb allow``. Not refused is what takes nothing from elsewhere: a ``.env`` that has both the URL
and the key, and a home that a command of this user created.

The record has one file for each thing that is allowed, in ``tvdb/allowed`` of the user's folder for
configuration. Its name is a hash of the content, so that a changed file must be allowed again.
"""

from __future__ import annotations

import os
import re
import secrets
import warnings
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import yaml

from tvdb_assets import error_codes as codes
from tvdb_assets.redaction import printable

ENV_FILE: Final = ".env"
PROJECT_HOME: Final = ".tvdb"
"""The name of the home of a project, if no variable names another one."""
_INSTANCE_FILE = "dagster.yaml"
_DATABASE = "TVDB_DATABASE_URL"
_HOME = "DAGSTER_HOME"
_URL, _KEY = "_BASE_URL", "_API_KEY"
_EMBEDDER = "TVDB_EMBEDDER"
_EMBEDDING_URL = "TVDB_EMBEDDING_BASE_URL"
_EMBEDDING_HEADERS = "TVDB_EMBEDDING_HEADERS"
_DATABASE_SECRETS = ("PGPASSWORD", "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE", "PGSSLKEY")
_DATABASE_FILES = (".pgpass", ".pg_service.conf", ".postgresql/postgresql.key")
"""Files in the home of the user with secrets that libpq sends by itself."""
_INSERTED = re.compile(r"\$\{\s*(\w+)")
_SECRET = re.compile(r"SECRET|TOKEN|PASS|KEY|CREDENTIAL|DATABASE_URL")
_OWNER = "owner"
"""The file of a home that identifies it in the record."""
_HARMLESS_KEYS = frozenset(
    {"run_monitoring", "run_retries", "run_queue", "concurrency", "retention", "telemetry", "nux"}
    | {"backfills", "schedules", "sensors", "auto_materialize", "freshness", "code_servers"}
)
"""Keys of ``dagster.yaml`` that take numbers and switches only."""
_STORAGES: list[dict[str, Any]] = [
    {"custom": {"module": module, "class": "ProjectPostgresStorage", "config": {}}}
    for module in (
        "tvdb_assets.dagster.storage.instance_storage",
        "tvdb_assets.storage.instance",  # the former name, see `deprecation`
    )
]
_LAUNCHER = {
    "module": "tvdb_assets.dagster.storage.run_launcher",
    "class": "CommandAwareRunLauncher",
}


class WorkingFolderWarning(UserWarning):
    """What the working folder decides, where it can't be recorded that the user allowed it."""


# --- The record ---------------------------------------------------------------------------


def record_folder() -> Path:
    """The folder of the record."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()
    return Path(base) / "tvdb" / "allowed"


def _entry(*parts: bytes) -> Path:
    return record_folder() / sha256(b"\0".join(parts)).hexdigest()


def _record(entry: Path, path: Path) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    entry.write_text(f"{printable(str(path))}\n", "utf-8")


# --- .env ---------------------------------------------------------------------------------


def check_env_file(values: Mapping[str, str], overrides: Mapping[str, object]) -> None:
    """Refuse a ``.env`` that decides where secrets of the environment are sent.

    Args:
        values: the variables of the file.
        overrides: settings of the caller, which win over the file; by name of the field.

    Raises:
        ConfigurationError: ``folder_not_allowed``.
    """
    decided = {
        name
        for name in values
        if (name.endswith(_URL) or name in (_DATABASE, _HOME) or _names_address(name, values))
        and values[name]
        # The environment and the caller win.
        and not os.environ.get(name)
        and name not in overrides
        and name.removeprefix("TVDB_").lower() not in overrides
    }
    secrets_taken = {secret for name in decided for secret in _secrets_for(name, values)}
    if inserted := _inserted(values):
        decided |= set(values)
    taken = sorted(secrets_taken | inserted)
    if not taken or _entry_of_env_file().exists():
        return
    raise codes.ENV_FILE_NOT_ALLOWED.error(
        file=Path(ENV_FILE).absolute(), names=", ".join(sorted(decided)), secrets=", ".join(taken)
    )


def _inserted(values: Mapping[str, str]) -> set[str]:
    """The secrets of the environment that a ``${NAME}`` of the file inserts into a value."""
    if not values:
        return set()
    names = set(_INSERTED.findall(Path(ENV_FILE).read_text("utf-8", "replace")))
    return {name for name in names if os.environ.get(name) and _SECRET.search(name.upper())}


def _secrets_for(name: str, values: Mapping[str, str]) -> list[str]:
    """The secrets from elsewhere that would reach what a variable of the file names."""
    if name == _EMBEDDING_URL or _names_address(name, values):
        chosen = os.environ.get(_EMBEDDER) or values.get(_EMBEDDER) or "openai"
        keys = (*_keys_of(chosen), _EMBEDDING_HEADERS)
        return [key for key in keys if os.environ.get(key)]
    if name.endswith(_URL):
        key = name.removesuffix(_URL) + _KEY
        return [key] if os.environ.get(key) else []
    found = [key for key in _service_keys(values) if os.environ.get(key)]
    if name == _DATABASE:
        found += [secret for secret in _DATABASE_SECRETS if os.environ.get(secret)]
        user = Path("~").expanduser()
        found += [f"~/{file}" for file in _DATABASE_FILES if (user / file).exists()]
    return found


def _service_keys(values: Mapping[str, str]) -> set[str]:
    """The variables with keys of the services that are, or may be, called."""
    chosen = [
        os.environ.get(setting) or values.get(setting) or ""
        for setting in (_EMBEDDER, "TVDB_PARSER")
    ]
    named = {key for name in chosen if name for key in _keys_of(name)}
    return named | {"OPENAI_API_KEY", "LLAMA_CLOUD_API_KEY"}


def _names_address(name: str, values: Mapping[str, str]) -> bool:
    """Whether it is an embedder with its address, as ``tei:http://127.0.0.1:8080``."""
    return name == _EMBEDDER and "://" in values[name]


def _keys_of(provider: str) -> tuple[str, ...]:
    """The variables with the key of a provider; it may be named with its model or address."""
    name = provider.partition(":")[0].strip().upper().replace("-", "_")
    return (f"{name}{_KEY}", "AZURE_OPENAI_API_KEY") if name == "AZURE" else (f"{name}{_KEY}",)


def _entry_of_env_file() -> Path:
    file = Path(ENV_FILE).absolute()
    return _entry(b"env", os.fsencode(file), file.read_bytes())


# --- The home -----------------------------------------------------------------------------


def check_home(home: Path) -> None:
    """Refuse a home that is in, or named by, the working folder and that this user did not create.

    Raises:
        ConfigurationError: ``folder_not_allowed``.
    """
    if (home / "postgres").exists() and not _is_known(home):
        raise codes.HOME_NOT_ALLOWED.error(home=home)
    for file, content in _instance_files(home):
        if not _is_harmless(content) and not _entry(b"instance", content).exists():
            raise codes.INSTANCE_FILE_NOT_ALLOWED.error(file=file)


def _instance_files(home: Path) -> Iterator[tuple[Path, bytes]]:
    """The instance files that decide, with their contents."""
    # The file next to a project's home is copied into it.
    folders = (home, home.parent) if home.name == PROJECT_HOME else (home,)
    for folder in folders:
        if (content := _content(folder / _INSTANCE_FILE)) is not None:
            yield folder / _INSTANCE_FILE, content


def claim_home(home: Path) -> None:
    """Create a home if it does not exist, and record that this user created it.

    Raises:
        ConfigurationError: ``folder_not_allowed``.
    """
    check_home(home)
    if _is_known(home):
        return
    try:
        _record_home(home)
    except OSError as error:
        warnings.warn(
            f"It can't be recorded in {record_folder()} that this user created {home} "
            f"({type(error).__name__}). Set DAGSTER_HOME in the environment to the home.",
            WorkingFolderWarning,
            stacklevel=2,
        )


def _record_home(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    owner = home / _OWNER
    token = secrets.token_hex(32)
    owner.unlink(missing_ok=True)
    descriptor = os.open(owner, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token)
    _record(_entry(b"home", token.encode()), home)


def _is_known(home: Path) -> bool:
    token = _content(home / _OWNER)
    if token is None:
        return False
    # Without a record that can be written, a command could not start a second time.
    return _entry(b"home", token).exists() or not _is_writable(record_folder())


def _is_writable(folder: Path) -> bool:
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return os.access(nearest, os.W_OK)


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_harmless(content: bytes) -> bool:
    try:
        values: Any = yaml.safe_load(content)
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError):
        return False
    if values is None:
        return True
    if not isinstance(values, dict):
        return False
    rest = set(values) - _HARMLESS_KEYS - {"storage", "run_launcher"}
    return (
        not rest
        and values.get("storage", _STORAGES[0]) in _STORAGES
        and values.get("run_launcher", _LAUNCHER) == _LAUNCHER
    )


# --- Allow --------------------------------------------------------------------------------


def allow(home: Path) -> list[Path]:
    """Record that the user allows the ``.env`` of the working folder, and a home with its files.

    Returns:
        The files and folders that are allowed now.

    Raises:
        ConfigurationError: the record can't be written.
    """
    allowed: list[Path] = []
    try:
        if Path(ENV_FILE).is_file():
            _record(_entry_of_env_file(), Path(ENV_FILE).absolute())
            allowed.append(Path(ENV_FILE).absolute())
        for file, content in _instance_files(home):
            _record(_entry(b"instance", content), file)
            allowed.append(file)
        if home.is_dir():
            if not _is_known(home):
                _record_home(home)
            allowed.append(home)
    except OSError as error:
        raise codes.ALLOWANCE_UNWRITABLE.error(
            folder=record_folder(), kind=type(error).__name__
        ) from None
    return allowed
