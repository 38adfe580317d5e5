"""`python -m jaxsamp.cli` is `jaxsamp`."""

import sys

from jaxsamp.cli import main

if __name__ == "__main__":
    sys.exit(main())
