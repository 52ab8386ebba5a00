"""The command line, in this process."""

import sys
from pathlib import Path

import pytest

from nas.cli import main as cli

CONF = Path(__file__).parent.parent.parent / "conf"


@pytest.fixture
def launch(monkeypatch, capsys, tmp_path):
    """Run ``launch.py`` with arguments; return exit code, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["launch.py", *arguments])
        monkeypatch.setattr(cli, "_exit_codes", [])
        with pytest.raises(SystemExit) as stop:
            cli.main(CONF)
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return run
