"""The one entry point: ``python launch.py [group=choice ...] [key=value ...]``; see ``--help``."""

from pathlib import Path

from nas.cli.main import main

if __name__ == "__main__":
    main(Path(__file__).parent / "conf")
