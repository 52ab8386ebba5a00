"""The command line: ``nas [group=choice ...] [key=value ...]``, and ``python -m nas``; see ``--help``."""


def start() -> None:
    """Run the command line of this process, and exit."""
    try:
        from nas.cli.streams import end_at_interrupts, outlive_readers
    except KeyboardInterrupt:
        raise SystemExit(130) from None

    end_at_interrupts()
    outlive_readers()

    from nas.cli.command import CONF
    from nas.cli.main import main

    main(CONF)


if __name__ == "__main__":
    start()
