"""`python -m debugtool`."""

from debugtool.cli import main

if __name__ == "__main__":
    main()
