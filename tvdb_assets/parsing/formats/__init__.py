"""One module per document format; a new module with a ``PARSER`` or ``CONTAINER`` is a new format.

What belongs here: how one format's bytes become text, or the documents inside of it. What does
not: finding the module for a media type (`parsing.format_registry`), and code that several formats
share (`parsing.reading`, `parsing.markdown`).
"""
