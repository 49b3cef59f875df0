"""The sources of documents: local folders and buckets.

What belongs here: listing and reading files. What does not: the comparison with registered
documents (`core.source_comparison`), or the meaning of bytes (`parsing`).
"""
