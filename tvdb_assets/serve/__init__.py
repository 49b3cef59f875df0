"""Search and stored documents over HTTP, MCP and a page for people. Nothing here writes.

What belongs here: requests and responses, who may send them, and the pages. What does not: the
search itself (`retrieval`), or arguments and exit codes (`cli`).
"""
