"""The program ``megasim`` of the package."""

from __future__ import annotations

import signal
import sys

from megasim import _megasim


def main() -> int:
    """Run the command line of this process; the exit status."""
    # The program handles signals itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _megasim.main(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
