"""Names that are stored with texts and vectors. If one changes, users pay again.

What belongs here: the fingerprints of paid parsers, the labels of vector spaces and the form of a
pipeline's fingerprint, written out. A change here needs a migration, or a reason to parse or embed
all documents again. What does not: the parsers on this machine
(`parsing/test_parser_fingerprints`).
"""

from __future__ import annotations

from importlib.metadata import version

import pytest

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.models import VectorSpace
from tvdb_assets.parsing.document_parser import parser_fingerprint
from tvdb_assets.routing.service_clients import ServiceClients, pipeline_fingerprint
from tvdb_assets.settings import Settings, load_settings

WORDLLAMA = version("wordllama")
LABELS = {
    "mock": "mock/md5-uniform@1536#1",
    "local": f"wordllama/l2_supercat_256@256#{WORDLLAMA}",
    "real": "openai/text-embedding-3-small@1536#v1",
    "hybrid": "openai/text-embedding-3-small@1536#v1",
}


def settings(mode: str, **more: object) -> Settings:
    keys = {"OPENAI_API_KEY": "sk-test", "LLAMA_CLOUD_API_KEY": "llx-test"}
    return load_settings(service_mode=mode, **keys, **more)


@pytest.mark.parametrize("mode", LABELS)
def test_labels_of_vector_spaces(mode: str) -> None:
    assert ServiceClients(settings(mode)).embedder.space.label == LABELS[mode]


@pytest.mark.parametrize(
    ("model", "dimensions", "label"),
    [
        ("text-embedding-3-small", 256, "openai/text-embedding-3-small@256#v1"),
        ("text-embedding-3-large", None, "openai/text-embedding-3-large@3072#v1"),
        ("text-embedding-ada-002", None, "openai/text-embedding-ada-002@1536#v1"),
    ],
)
def test_labels_of_openais_models(model: str, dimensions: int | None, label: str) -> None:
    chosen = settings("real", embedding_model=model, embedding_dimensions=dimensions)
    assert ServiceClients(chosen).embedder.space.label == label


def test_the_label_of_the_fallback() -> None:
    clients = ServiceClients(settings("hybrid"))
    assert clients.fallback_embedder.space.label == f"{LABELS['local']}+fallback"


@pytest.mark.parametrize(
    ("tier", "pinned", "fingerprint"),
    [
        ("cost_effective", None, "llamaparse1:cost_effective:2026-09-28"),
        ("agentic", None, "llamaparse1:agentic:2026-10-16"),
        ("agentic_plus", None, "llamaparse1:agentic_plus:2026-09-28"),
        ("agentic", "2026-08-19", "llamaparse1:agentic:2026-08-19"),
    ],
)
def test_fingerprints_of_llamaparse(tier: str, pinned: str | None, fingerprint: str) -> None:
    chosen = settings("real", llamaparse_tier=tier, llamaparse_version=pinned)
    parser = ServiceClients(chosen).paid_parser
    assert parser is not None
    assert parser.fingerprint == fingerprint


@pytest.mark.parametrize("mode", LABELS)
def test_the_form_of_a_pipelines_fingerprint(mode: str) -> None:
    chunker, chosen = Chunker(512, 64), settings(mode)
    parser = parser_fingerprint(limits=chosen.document_limits)
    free = f"{'mock' if mode == 'mock' else 'local'}/{parser}"
    paid = "llamaparse1:cost_effective:2026-09-28 " if mode in ("real", "hybrid") else ""
    expected = f"{paid}{free} {chunker.fingerprint} {LABELS[mode]}"
    assert pipeline_fingerprint(chosen, chunker) == expected


@pytest.mark.parametrize("mode", ["local", "real"])
def test_a_stored_space_finds_its_embedder(mode: str) -> None:
    """The label names the provider, so the model in the settings does not matter."""
    clients = ServiceClients(settings("real", embedding_model="text-embedding-3-large"))
    label = LABELS[mode]
    name, _, rest = label.partition("/")
    model, _, rest = rest.partition("@")
    dimensions, _, revision = rest.partition("#")
    space = VectorSpace(name, model, int(dimensions), revision)
    found = clients.embedder_in(space)
    assert found is not None
    assert found.space.label == label
