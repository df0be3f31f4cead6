"""`python -m kinflow` is the `kinflow` command."""

from kinflow.cli.main import entry_point

if __name__ == "__main__":
    entry_point()
