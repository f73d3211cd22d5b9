"""A file with a breakpoint that nothing runs into."""


def untouched() -> None:
    """Never be called."""
    print("never")  # BREAKPOINT
