"""``format=torch_export``: a program of torch.export, which ``torch.export.load`` reads."""

import json
from pathlib import Path
from typing import final

import torch
from torch._export.serde.serialize import SerializeError

from nas.errors import RunError
from nas.export.base import Arrays, Format, Images, Run, Source
from nas.export.graph import first_line, named, program
from nas.files import write_atomic

ABOUT = "about.json"


@final
class TorchExport(Format):
    """A graph of torch's operators; ``torch.compile`` and AOTInductor take it further."""

    ending = "pt2"

    def write(self, source: Source, path: Path) -> None:
        """Write the program and, as an extra file in it, what it says about itself."""
        exported = program(source)
        extra = {ABOUT: json.dumps(dict(source.about))}
        try:
            write_atomic(path, lambda file: torch.export.save(exported, file, extra_files=extra))
        except (AssertionError, SerializeError) as error:
            raise RunError(f"torch.export {torch.__version__} cannot write the network: {first_line(error)}") from error

    def read(self, path: Path, threads: int) -> Run:
        """Return the program; torch's own number of threads counts."""
        module = torch.export.load(path).module()

        def run(images: Images) -> Arrays:
            with torch.no_grad():
                return named(module(torch.from_numpy(images)))

        return run
