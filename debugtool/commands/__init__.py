"""One file per command: parse, call one core function, print. Loaded only when called."""
