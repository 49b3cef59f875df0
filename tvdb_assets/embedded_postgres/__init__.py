"""The embedded Postgres server, which is used when no database is configured.

What belongs here: starting, finding and stopping the server, and its files. What does not: its
schema and statements (`repositories`).
"""
