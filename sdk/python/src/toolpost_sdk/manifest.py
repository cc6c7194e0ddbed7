"""Says what the plugin in `plugin.py` is, as JSON: what the tools need to know before they build it."""

from __future__ import annotations

import importlib
import json
import sys

from .capability import HttpHost
from .plugin import Plugin


def load(module: str) -> Plugin:
    """The plugin of a module."""
    found = getattr(importlib.import_module(module), "PLUGIN", None)
    if not isinstance(found, Plugin):
        raise SystemExit(f"{module}.py has no `PLUGIN = toolpost_sdk.plugin(...)`")
    return found


def main() -> None:
    """Prints the manifest of the plugin in the current directory."""
    sys.path.insert(0, "")
    plugin = load("plugin")
    manifest = {
        "name": plugin.name,
        "kinds": plugin.kinds,
        "http": any(isinstance(want, HttpHost) for want in plugin.wants),
    }
    json.dump(manifest, sys.stdout)


if __name__ == "__main__":
    main()
