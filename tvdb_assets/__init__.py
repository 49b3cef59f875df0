"""Documents become parsed text, chunks and embeddings in Postgres, as Dagster assets."""

from tvdb_assets.deprecation import serve_moved_modules

serve_moved_modules()
