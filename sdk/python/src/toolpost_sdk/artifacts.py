"""Files that are kept with a build when the worker's directory is gone."""

from __future__ import annotations

from dataclasses import dataclass

from .host import BuildOf, StepHost


@dataclass(frozen=True)
class Artifact:
    """A file that is kept."""

    name: str
    """Unique in its build."""
    size: int
    """Its length in bytes."""
    mode: int
    """Its permissions, such as 0o755."""
    sha256: str
    """SHA-256 of its content, in hexadecimal digits."""
    url: str
    """Where people find it."""


@dataclass(frozen=True)
class UploadedDirectory:
    """What became of a directory."""

    files: list[Artifact]
    """The files, in the order of their names."""
    skipped: list[str]
    """Paths that were left out: links that lead outside, sockets, devices."""


class Artifacts:
    """Files that are kept with a build: packages, reports, screenshots.

    Files move between worker and master without passing through the plugin. `build` is a builder's name and a
    build's number; without it, it is the build that this step belongs to. Another builder than that of the step has
    to be wanted (`KeptArtifacts`) and granted.
    """

    def __init__(self, host: StepHost) -> None:
        self._host = host

    def upload_file(self, path: str, name: str) -> Artifact:
        """Keeps a file of the worker under this name, in place of one that has it. At most 1 GiB."""
        return self._host.upload_file(path, name)

    def upload_directory(self, path: str, name: str = "") -> UploadedDirectory:
        """Keeps each file below a directory of the worker, under `name`, a `/` and its path below that directory."""
        return self._host.upload_directory(path, name)

    def download(self, name: str, path: str, build: BuildOf | None = None) -> Artifact:
        """Writes an artifact to a path on the worker, with its permissions; missing directories are made."""
        return self._host.download(build, name, path)

    def find(self, prefix: str = "", build: BuildOf | None = None) -> list[Artifact]:
        """The artifacts whose names start with this, in their order. At most 10,000."""
        return self._host.find_artifacts(build, prefix)
