"""Commands of SLURM that remember how they were called, for tests without SLURM."""

import os
import stat
from pathlib import Path

COMMANDS = ("sbatch", "srun", "squeue", "scontrol")


class FakeSlurm:
    """A folder of commands that stands first in ``PATH``; each prints a text and ends with a code."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self.answer("sbatch", "Submitted batch job 71")
        for name in ("srun", "squeue", "scontrol"):
            self.answer(name, "")

    @property
    def path(self) -> str:
        return f"{self._folder}{os.pathsep}{os.environ['PATH']}"

    def answer(self, name: str, text: str, code: int = 0) -> None:
        """Let a command say ``text``, on the error output where ``code`` is not 0."""
        command = self._folder / name
        where = ">&2" if code else ""
        calls = self._folder / f"{name}.calls"
        log = f"echo \"$@\" >>'{calls}'\nenv >'{self._folder / name}.environment'"
        command.write_text(f"#!/bin/sh\n{log}\ncat <<'END' {where}\n{text}\nEND\nexit {code}\n")
        command.chmod(command.stat().st_mode | stat.S_IXUSR)

    def environment(self, name: str) -> dict[str, str]:
        """Return the variables of a command's last call."""
        lines = (self._folder / f"{name}.environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def calls(self, name: str) -> list[str]:
        path = self._folder / f"{name}.calls"
        return path.read_text().splitlines() if path.exists() else []
