"""Parsing of documents: bytes to text, in worker processes or by a paid service.

What belongs here: formats, containers, workers, OCR and providers of paid parsing. What does not:
chunking and validation of the text (`core`), storage (`repositories`).
"""
