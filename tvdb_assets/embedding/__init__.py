"""The embedders: one file per client, behind one small protocol."""
