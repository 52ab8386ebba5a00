"""Run folders changed by somebody who knows the checksums, as an attacker would."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nas.files import sealed
from nas.run.folder import settings_digest


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Replace the settings of a run, with all checksums."""
    (folder / "config.yaml").write_text(yaml.safe_dump(dict(settings)))
    change(folder / "run.json", settings=settings_digest(settings))


def change(path: Path, **values: Any) -> None:
    """Change values of a sealed file, and its checksum."""
    known = json.loads(path.read_text())
    known.pop("sha256")
    path.write_text(json.dumps(sealed(known | values)))
