"""`python -m azsim` is `azsim`."""

from azsim.cli.main import main

if __name__ == "__main__":
    main()
