"""The one entry point: ``python launch.py [group=choice ...] [key=value ...]``; see ``--help``."""

if __name__ == "__main__":
    try:
        from nas.cli.streams import end_at_interrupts, outlive_readers
    except KeyboardInterrupt:
        raise SystemExit(130) from None

    end_at_interrupts()
    outlive_readers()

    from pathlib import Path

    from nas.cli.main import main

    main(Path(__file__).parent / "conf")
