"""The generated messages and stubs of the protocols a plugin speaks; made by scripts/gen-protos."""
