"""The model contract: what a model is, on disk and in memory. Code only; the files live in ARTIFACTS_DIR."""
