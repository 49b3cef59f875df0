"""Retrievers for other frameworks, each in a module that imports its framework.

What belongs here: the form in which a framework expects results. What does not: search
(`retrieval`). Each framework is an extra of this package.
"""
