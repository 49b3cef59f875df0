"""The pipeline as Dagster sees it: assets, checks, resources, sensors, schedules and jobs.

What belongs here: everything that imports Dagster. What does not: how a document is processed
(`tvdb_assets.ingestion`). What Dagster stores in our database is in `storage`, and its private
parts that we use are in `compat`.
"""
