"""Reports on money and runs: cost summaries, budget alerts, gauges, the history of a run.

What belongs here: reading tables for users and monitoring. What does not: decisions
(`spend_guard`), or the presentation of a report (`cli`, `dagster`).
"""
