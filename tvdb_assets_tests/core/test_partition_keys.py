"""Partition keys convert back to their paths and contain nothing that Dagster refuses."""

from __future__ import annotations

import re

import pytest
from dagster._core.definitions.partitions.utils.base import INVALID_PARTITION_SUBSTRINGS
from hypothesis import given
from hypothesis import strategies as st

from tvdb_assets.core.partition_keys import MAX_BYTES, partition_key, path_from_key

PARTS = st.sampled_from(["...", "..", ".", "%", "%2E", ",", "[", "]", '"', "*", " ", "/", "\n"])
PATHS = st.lists(PARTS | st.text(max_size=8) | st.just("~0123456789abcdef"), max_size=80).map(
    "".join
)


@given(PATHS)
def test_a_key_converts_back_to_its_path(path: str) -> None:
    key = partition_key(path)
    assert len(key.encode()) <= MAX_BYTES
    back = path_from_key(key)
    assert back == path or (back is None and re.search(r"~[0-9a-f]{16}\Z", key))


@given(PATHS)
def test_a_key_contains_nothing_that_dagster_refuses(path: str) -> None:
    key = partition_key(path)
    assert not any(refused in key for refused in INVALID_PARTITION_SUBSTRINGS)
    assert not re.search('[,\\[\\]"*\x00-\x1f\x7f-\x9f\u2028\u2029]', key)
    assert not key.startswith(" ") and not key.endswith(" ")


@given(st.lists(PATHS, unique=True, min_size=2, max_size=6))
def test_different_paths_have_different_keys(paths: list[str]) -> None:
    assert len({partition_key(path) for path in paths}) == len(paths)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("policies/Home & motor (2024).pdf", "policies/Home & motor (2024).pdf"),
        ("保险/合同.docx", "保险/合同.docx"),
        ("100%.md", "100%25.md"),
        ("a, b [c].md", "a%2C b %5Bc%5D.md"),
        ("wait....md", "wait%2E%2E%2E%2Emd"),
        (" x ", "%20x%20"),
        ("\u2028", "%E2%80%A8"),
    ],
)
def test_examples_of_keys(path: str, key: str) -> None:
    assert partition_key(path) == key


def test_long_paths_with_the_same_start_have_different_keys() -> None:
    one, other = partition_key("é" * 300 + "1"), partition_key("é" * 300 + "2")
    assert one != other
    assert one[:-16] == other[:-16]
    assert path_from_key(one) is None
