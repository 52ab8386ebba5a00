"""The command line of a clone: ``python launch.py [group=choice ...] [key=value ...]``; see ``--help``."""

if __name__ == "__main__":
    from nas.__main__ import start

    start()
