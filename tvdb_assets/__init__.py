"""Documents become parsed text, chunks and embeddings in Postgres, as Dagster assets."""
