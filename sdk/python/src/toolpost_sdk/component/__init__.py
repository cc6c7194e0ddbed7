"""The contract on the inside of a component: its exports, and the host that its imports lead to.

Most modules here need `wit_world`, the bindings of the contract, which componentize-py makes for each component.
`toolpost plugin build` writes the module that ties them to a plugin: it calls `bind` and imports the classes of the
kinds that the plugin has.
"""

from __future__ import annotations

from ..plugin import Plugin

_bound: list[Plugin] = []


def bind(plugin: Plugin) -> None:
    """Makes this the plugin of the component."""
    _bound[:] = [plugin]


def bound() -> Plugin:
    """The plugin of the component."""
    return _bound[0]
