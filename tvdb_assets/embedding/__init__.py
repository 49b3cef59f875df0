"""Embedding: the interface of embedders, the registry of providers, and the paths to vectors.

What belongs here: texts to vectors. What does not: storing vectors (`repositories`), money
(`spend_guard`).
"""
