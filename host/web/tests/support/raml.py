"""Writes the REST API specification of the installed buildbot package as JSON: what can be read where, and which fields it has."""
import json
import os
import sys

import buildbot
import yaml

FOLDER = os.path.join(os.path.dirname(buildbot.__file__), "spec")


class Loader(yaml.SafeLoader):
    pass


def load(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return yaml.load(file, Loader)


Loader.add_constructor("!include", lambda loader, node: load(loader.construct_scalar(node)))


def resources(path, node, paths):
    for name, value in (node or {}).items():
        if name.startswith("/"):
            resources(path + name, value, paths)
        elif name == "get":
            paths.append({"path": path, "type": gives(value)})


def gives(get):
    for trait in get["is"]:
        for arguments in trait.values() if isinstance(trait, dict) else []:
            return (arguments or {}).get("bbtype")
    return None


def field(name, declared):
    kind = declared if isinstance(declared, str) else declared.get("type", "any")
    return {
        "name": name.rstrip("?").removesuffix("[]"),
        "type": kind,
        "list": name.endswith("[]"),
        "optional": name.endswith("?"),
    }


spec = load("api.raml")
paths = []
resources("", {name: node for name, node in spec.items() if name.startswith("/")}, paths)
types = {
    name: [field(*declared) for declared in (node.get("properties") or {}).items()]
    for name, node in spec["types"].items()
}
json.dump({"paths": paths, "types": types}, sys.stdout)
