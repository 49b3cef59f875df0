"""What some embedding models want before a question and before a passage. Pure.

What belongs here: the prefixes by name of the model, each from the card of the model. What does
not: when they are used (`providers.presets`, and the settings).

Such a model was trained with these words, and finds less without them.
"""

from __future__ import annotations

import re

_SEARCH = "Represent this sentence for searching relevant passages: "
_TASK = "Given a web search query, retrieve relevant passages that answer the query"
_PREFIXES: tuple[tuple[str, tuple[str, str]], ...] = (
    (r"nomic-embed", ("search_query: ", "search_document: ")),
    (r"e5-mistral|e5-.*instruct", (f"Instruct: {_TASK}\nQuery: ", "")),
    (r"(?:^|[/-])e5-", ("query: ", "passage: ")),
    (r"arctic-embed.*(?:v2|2\.0|2$)", ("query: ", "")),
    (r"arctic-embed|mxbai-embed|bge-(?:small|base|large)-en", (_SEARCH, "")),
    (r"embedding-?gemma", ("task: search result | query: ", "title: none | text: ")),
    (r"qwen3-embedding", (f"Instruct: {_TASK}\nQuery:", "")),
    (
        r"^voyage-",
        (
            "Represent the query for retrieving supporting documents: ",
            "Represent the document for retrieval: ",
        ),
    ),
)
"""Cards of the models on Hugging Face; of Voyage, what its ``input_type`` adds,
https://docs.voyageai.com/docs/embeddings"""


def prefixes_of(model: str) -> tuple[str, str]:
    """The prefixes of a question and of a passage; empty where the model wants none.

    Args:
        model: its name, in any case, with or without its owner.
    """
    for pattern, prefixes in _PREFIXES:
        if re.search(pattern, model.lower()):
            return prefixes
    return "", ""
