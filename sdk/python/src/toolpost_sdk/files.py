"""Files on the worker."""

from __future__ import annotations

import io
from collections.abc import Iterator

from .errors import FileError, FileErrorKind, PermanentError
from .host import FileStat, StepHost

_READ_BYTES = 256 * 1024
"""What a reader asks for at a time."""
_WRITE_BYTES = 4 * 1024 * 1024
"""What the host takes in one call."""
READ_BYTES_MAX = 16 * 1024 * 1024
"""What `read` and `read_text` take unless told otherwise."""


class Files:
    """The files on the worker.

    Paths are relative to the working directory of the step, with `/` between their parts, and stay inside the
    directory of the build. Every method raises `FileError`, and `RetryableError` when the worker is lost.
    """

    def __init__(self, host: StepHost) -> None:
        self._host = host

    def open(self, path: str) -> io.BufferedReader:
        """Opens a file for reading bytes from its beginning, a piece at a time, however large it is."""
        return io.BufferedReader(_Reader(self._host, path), _READ_BYTES)

    def lines(self, path: str) -> Iterator[str]:
        """The lines of a file without their ends, a piece at a time, however large it is."""
        with io.TextIOWrapper(self.open(path), encoding="utf-8", errors="replace") as text:
            for line in text:
                yield line.removesuffix("\n")

    def read(self, path: str, bytes_max: int = READ_BYTES_MAX) -> bytes:
        """Reads a whole file.

        Raises `PermanentError` when it has more than `bytes_max`.
        """
        with self.open(path) as file:
            data = file.read(bytes_max + 1)
        if len(data) > bytes_max:
            raise PermanentError(f"`{path}` has more than {bytes_max} bytes")
        return data

    def read_text(self, path: str, bytes_max: int = READ_BYTES_MAX) -> str:
        """Reads a whole file as text; what is no UTF-8 becomes `\N{REPLACEMENT CHARACTER}`."""
        return self.read(path, bytes_max).decode(errors="replace")

    def write(self, path: str, data: bytes | str) -> None:
        """Writes a file in the place of what is there; missing directories are made."""
        self._write(path, data, append=False)

    def append(self, path: str, data: bytes | str) -> None:
        """Writes to the end of a file, which is made if it is not there."""
        self._write(path, data, append=True)

    def _write(self, path: str, data: bytes | str, append: bool) -> None:
        content = data.encode() if isinstance(data, str) else data
        self._host.write_file(path, content[:_WRITE_BYTES], append)
        for start in range(_WRITE_BYTES, len(content), _WRITE_BYTES):
            self._host.write_file(path, content[start : start + _WRITE_BYTES], True)

    def stat(self, path: str) -> FileStat:
        """What is at this path."""
        return self._host.stat(path)

    def exists(self, path: str) -> bool:
        """Whether there is anything at this path."""
        try:
            self.stat(path)
        except FileError as error:
            if error.kind is FileErrorKind.NOT_FOUND:
                return False
            raise
        return True

    def glob(self, pattern: str) -> list[str]:
        """Paths that match a pattern of `*`, `?`, `[abc]`, `{a,b}` and `**` (any number of directories), sorted."""
        return self._host.glob(pattern)

    def mkdir(self, path: str) -> None:
        """Makes a directory and those above it, if they are not there."""
        self._host.mkdir(path)

    def remove(self, path: str) -> None:
        """Removes a file, a symbolic link or an empty directory."""
        self._host.remove(path, False)

    def remove_all(self, path: str) -> None:
        """Removes whatever is at this path, with all that is in it."""
        self._host.remove(path, True)


class _Reader(io.RawIOBase):
    """A file on the worker, read from its beginning."""

    def __init__(self, host: StepHost, path: str) -> None:
        super().__init__()
        self._host = host
        self._path = path
        # Reads the first piece, because that is how a missing file is noticed here.
        self._piece = host.read_file(path, 0, _READ_BYTES)
        self._offset = len(self._piece)
        self._at_end = len(self._piece) < _READ_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._piece and not self._at_end:
            self._piece = self._host.read_file(self._path, self._offset, _READ_BYTES)
            self._offset += len(self._piece)
            self._at_end = len(self._piece) < _READ_BYTES
        count = min(len(buffer), len(self._piece))
        buffer[:count], self._piece = self._piece[:count], self._piece[count:]
        return count
