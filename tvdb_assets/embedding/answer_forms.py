"""The vectors in an answer that has another form than that of OpenAI. Pure.

What belongs here: the names and nestings of servers that speak the protocol only in part. What does
not: the vectors themselves, and whether there is one for each text (`response_decoding`).

- ``{"data": [{"embedding": …, "index": …}]}``: OpenAI's form.
- ``[[…], …]``: Text Embeddings Inference ``/embed``.
- ``{"embeddings": [[…], …]}``: Ollama ``/api/embed``; ``{"embeddings": {"float": [[…], …]}}``:
  Cohere; ``{"embeddings": [{"values": […]}, …]}``: Gemini; ``{"embedding": […]}``: Ollama of old.
- ``[{"index": 0, "embedding": [[…]]}]``: llama.cpp ``/embedding``, one vector for each text.
- one JSON document a line, or server-sent events: a proxy that streams everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

_LISTS = ("data", "embeddings", "embedding", "results")
_VECTORS = ("embedding", "values", "vector", "float")
_MOST_LINES = 4_096
"""More than there are texts in a request."""


def vectors_in(answer: object, count: int) -> list[dict[str, Any]] | None:
    """The vectors in OpenAI's form; None if there is no list of vectors.

    Args:
        answer: which was parsed.
        count: of texts. A single vector may be in no list.
    """
    found = answer
    if isinstance(answer, Mapping):
        found = next((answer[name] for name in _LISTS if answer.get(name) is not None), None)
    if isinstance(found, Mapping):
        found = _of_mapping(found)
    if not isinstance(found, list):
        is_encoded = count == 1 and isinstance(found, str) and found is not answer
        found = [found] if is_encoded else None
    elif count == 1 and found and all(map(_is_number, found)):
        found = [found]
    if found is None or not all(isinstance(item, Mapping | list | str) for item in found):
        return None
    items = [_item(item) for item in found]
    # A list of anything else is no answer with vectors.
    return items if not items or any("embedding" in item for item in items) else None


def lines_of(body: bytes) -> list[Any]:
    """The documents of an answer that comes in lines or events; empty if it is no such answer.

    An answer in OpenAI's form in a single event is that answer; others are joined.
    """
    lines = [line.strip() for line in body.splitlines()]
    if len(lines) > _MOST_LINES:
        return []
    documents = []
    for line in lines:
        content = line.removeprefix(b"data:").strip()
        if not content or content == b"[DONE]" or line.startswith((b":", b"event:", b"id:")):
            continue
        try:
            documents.append(orjson.loads(content))
        except orjson.JSONDecodeError:
            return []
    joined: list[Any] = []
    for document in documents:
        inner = document.get("data") if isinstance(document, Mapping) else None
        joined.extend(inner if isinstance(inner, list) else [document])
    return joined


def _of_mapping(found: Mapping[str, Any]) -> object:
    if any(name in found and _is_vector(found[name]) for name in _VECTORS):
        return [found]
    if found and all(str(key).isdecimal() for key in found):
        return [found[key] for key in sorted(found, key=int)]
    return found.get("float")


def _item(item: object) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        return {"embedding": _flat(item)}
    name = next((name for name in _VECTORS if item.get(name) is not None), None)
    if name is None:
        return {key: value for key, value in item.items() if key == "index"}
    return {"embedding": _flat(item[name]), "index": item.get("index")}


def _flat(vector: object) -> object:
    """Without the list around a single vector, or the positions of its numbers."""
    if isinstance(vector, Mapping):
        inner = _of_mapping(vector)
        vector = vector.get("values", vector.get("float")) if inner == [vector] else inner
    if isinstance(vector, list) and len(vector) == 1 and isinstance(vector[0], list):
        return vector[0]
    return vector


def _is_vector(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(map(_is_number, value)))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
