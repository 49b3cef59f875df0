"""No log, error or report contains a secret or a private path."""

from __future__ import annotations

import io
import logging
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tvdb_assets
from tvdb_assets import redaction
from tvdb_assets.error_boundaries import redacting_errors
from tvdb_assets.errors import ConfigurationError, ParseError, TvdbError
from tvdb_assets.redaction import MARK, display_path, is_private, redact
from tvdb_assets.settings import load_settings

KEY = "sk-Qz7xK-canary-9m2t"
WORD = "canary-of-a-secret"
PACKAGE = Path(tvdb_assets.__file__).parent
ONLY_IN = {
    "creates ids": (r"\buuid[1-8]\b|import uuid\b|make_new_run_id", {"correlation.py"}),
    "redacts": (r"(?i)\[redacted\]|setLogRecordFactory|class RedactedCause", {"redaction.py"}),
}


@pytest.fixture(autouse=True)
def _restore_secrets() -> Iterator[None]:
    before = redaction._known.secrets
    yield
    redaction._known.secrets = before
    load_settings()


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {WORD}",
        f"{{'authorization': 'Bearer {WORD}', 'x': 1}}",
        f'"x-api-key": "{WORD}"',
        f"cookie={WORD}",
        f"sent bearer {WORD}",
        f"Incorrect API key provided: {KEY}.",
        f"postgresql://user:{WORD}@host:5432/db",
        f"https://b.s3.amazonaws.com/x?X-Amz-Signature={WORD}&X-Amz-Expires=60",
        f"https://a.blob.core.windows.net/c/x?sv=2024&sig={WORD}",
        f"https://storage.googleapis.com/x?GoogleAccessId={WORD}&Expires=1",
        f"host=db user=me password={WORD}",
    ],
)
def test_text_that_looks_like_a_secret_is_redacted(text: str) -> None:
    clean = redact(text)
    assert WORD not in clean
    assert KEY not in clean
    assert MARK in clean
    assert redact(clean) == clean


@pytest.mark.parametrize(
    "text",
    ["The key is refused; set a valid key.", "tokens: 3, key facts", "https://host/a?page=2", ""],
)
def test_ordinary_text_is_not_changed(text: str) -> None:
    assert redact(text) == text


def test_secrets_of_the_settings_are_redacted_in_any_format() -> None:
    load_settings(OPENAI_API_KEY="no-known-form", database_url="postgresql://u:p%40ss-word@h/d")
    assert redact("a no-known-form b p@ss-word c") == f"a {MARK} b {MARK} c"
    assert str(TvdbError.restored("x", "Says no-known-form.", remedy="no-known-form")) == (
        f"[x] Says {MARK}. {MARK}"
    )


def test_a_log_has_no_secret_and_no_message_of_an_exception_from_this_package() -> None:
    load_settings(OPENAI_API_KEY=KEY)
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logger = logging.getLogger("of.another.library")
    logger.addHandler(handler)
    try:
        logger.warning("GET %s as %r", f"https://h/?sig={WORD}", {"Authorization": KEY})
        logger.warning("%d of %s", 3, "plain")
        try:
            # Compiled with a path of the package, as if its code raised the error.
            eval(compile("int(word)", str(PACKAGE / "no_such_module.py"), "eval"), {"word": WORD})
        except ValueError:
            logger.exception("failed")
    finally:
        logger.removeHandler(handler)
    log = written.getvalue()
    assert KEY not in log
    assert "https://h/?sig=[redacted]" in log
    assert "3 of plain" in log
    assert "ValueError at tvdb_assets/no_such_module.py:1" in log
    assert WORD not in log


def test_an_unexpected_error_has_class_lines_and_id_but_no_message() -> None:
    with pytest.raises(TvdbError) as caught, redacting_errors("run-7"):
        int(WORD)
    error = caught.value
    assert (error.code, error.run_id) == ("unexpected", "run-7")
    assert "ValueError" in error.message
    assert str(error).endswith("(id run-7)")
    assert "test_redaction.py:" in str(error.__cause__)
    assert WORD not in repr((str(error), error.__cause__, pickle.dumps(error)))
    assert pickle.loads(pickle.dumps(error)).run_id == "run-7"


def test_an_error_of_the_package_loses_the_messages_of_its_causes() -> None:
    with pytest.raises(ParseError) as caught, redacting_errors("run-7"):
        try:
            int(WORD)
        except ValueError as cause:
            raise ParseError.restored("corrupt", "It is damaged.", remedy="Fix it.") from cause
    assert caught.value.code == "corrupt"
    assert str(caught.value.__cause__) == "ValueError"


@pytest.mark.parametrize(
    ("globs", "private", "public"),
    [
        ("hr", ["hr/a.pdf", "x/hr/b/c.pdf", "HR/a.pdf", "x/hr"], ["hrx/a.pdf", "a/hr.pdf"]),
        ("hr/*", ["hr/a.pdf", "hr/x/y.pdf", "old/hr/a.pdf"], ["her/a.pdf"]),
        ("*.key, board/2026/*", ["a/b.key", "board/2026/x.md"], ["board/2025/x.md", "key"]),
        ("deals.zip", ["deals.zip", "deals.zip!/offer.pdf"], ["deals.zip.txt"]),
        ("", [], ["hr/a.pdf"]),
    ],
)
def test_globs_mark_paths_private(globs: str, private: list[str], public: list[str]) -> None:
    load_settings(private_paths=globs)
    assert [path for path in private if not is_private(path)] == []
    assert [path for path in public if is_private(path)] == []


def test_the_substitute_for_a_private_path_is_stable_and_depends_on_the_salt() -> None:
    load_settings(private_paths="hr")
    redaction.set_path_salt(b"one")
    one = display_path("hr/jane.pdf")
    assert one == display_path("hr/jane.pdf") != display_path("hr/john.pdf")
    assert re.fullmatch("private-[0-9a-f]{16}", one)
    redaction.set_path_salt(b"two")
    assert display_path("hr/jane.pdf") != one
    assert display_path("public.pdf") == "public.pdf"
    error = ConfigurationError.restored("x", "Y.", remedy="Z.").about("hr/jane.pdf")
    assert "jane" not in str(error)


@pytest.mark.parametrize("what", ONLY_IN)
def test_only_one_module_does_this(what: str) -> None:
    pattern, modules = ONLY_IN[what]
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(pattern, path.read_text("utf-8"))
    }
    assert found == modules
