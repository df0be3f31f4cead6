"""`python -m kinflow` is the `kinflow` command."""

import os

try:
    from kinflow.cli.main import entry_point
except KeyboardInterrupt:
    os.write(2, b"kinflow: interrupted\n")
    os._exit(130)

if __name__ == "__main__":
    entry_point()
