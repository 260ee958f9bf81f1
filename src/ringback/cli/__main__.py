"""`python -m ringback.cli`, for where no script directory is on the path."""

from ringback.cli import main

if __name__ == "__main__":
    main()
