"""Hashes of what decides a model's outputs."""

import hashlib
import inspect
from types import ModuleType


def source_digest(*modules: ModuleType) -> str:
    """Return the SHA-256 of modules' source, as hexadecimal digits."""
    return hashlib.sha256("".join(inspect.getsource(module) for module in modules).encode()).hexdigest()
