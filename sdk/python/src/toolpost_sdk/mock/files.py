"""Files in memory, with the rules of the contract for paths."""

from __future__ import annotations

import re

from ..errors import FileError, FileErrorKind
from ..host import FileKind, FileStat

_READ_BYTES_MAX = 4 * 1024 * 1024


class MockFiles:
    """A working directory."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self._directories: set[str] = set()

    def content(self, path: str) -> bytes | None:
        """What a file holds; `None` when there is none."""
        return self._files.get(_clean("read", path))

    def read(self, path: str, offset: int, limit: int) -> bytes:
        path = _clean("read", path)
        if path not in self._files:
            raise FileError("read", path, FileErrorKind.WRONG_KIND if self._is_dir(path) else FileErrorKind.NOT_FOUND)
        return self._files[path][offset : offset + min(limit, _READ_BYTES_MAX)]

    def write(self, path: str, data: bytes, append: bool) -> None:
        path = _clean("write", path)
        if self._is_dir(path):
            raise FileError("write", path, FileErrorKind.WRONG_KIND)
        self._make_parents(path)
        self._files[path] = self._files.get(path, b"") + data if append else data

    def stat(self, path: str) -> FileStat:
        path = _clean("look at", path)
        if path in self._files:
            return FileStat(FileKind.FILE, len(self._files[path]), 0)
        if self._is_dir(path):
            return FileStat(FileKind.DIRECTORY, 0, 0)
        raise FileError("look at", path, FileErrorKind.NOT_FOUND)

    def glob(self, pattern: str) -> list[str]:
        expressions = [_expression(one) for one in _alternatives(_clean("list", pattern))]
        return sorted(
            path for path in [*self._files, *self._directories] if any(one.fullmatch(path) for one in expressions)
        )

    def mkdir(self, path: str) -> None:
        path = _clean("make", path)
        if path in self._files:
            raise FileError("make", path, FileErrorKind.WRONG_KIND)
        self._make_parents(path)
        self._directories.add(path)

    def remove(self, path: str, recursive: bool) -> None:
        path = _clean("remove", path)
        if self._files.pop(path, None) is not None:
            return
        if path not in self._directories:
            raise FileError("remove", path, FileErrorKind.NOT_FOUND)
        below = [other for other in [*self._files, *self._directories] if other.startswith(f"{path}/")]
        if below and not recursive:
            raise FileError("remove", path, FileErrorKind.NOT_EMPTY)
        for other in [path, *below]:
            self._files.pop(other, None)
            self._directories.discard(other)

    def _is_dir(self, path: str) -> bool:
        return not path or path in self._directories

    def _make_parents(self, path: str) -> None:
        parts = path.split("/")
        self._directories.update("/".join(parts[:count]) for count in range(1, len(parts)))


def _clean(action: str, path: str) -> str:
    """The path without `.` parts; one that leads out of the working directory is refused."""
    parts: list[str] = []
    outside = path.startswith("/") or "\0" in path
    for part in path.split("/"):
        if part == "..":
            outside |= not parts
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    if outside:
        raise FileError(action, path, FileErrorKind.OUTSIDE)
    return "/".join(parts)


def _alternatives(pattern: str) -> list[str]:
    """The patterns that one with `{a,b}` stands for."""
    innermost = re.search(r"\{([^{}]*)\}", pattern)
    if innermost is None:
        if "{" in pattern or "}" in pattern:
            raise FileError("list", pattern, FileErrorKind.OTHER, "a brace has no other half")
        return [pattern]
    before, after = pattern[: innermost.start()], pattern[innermost.end() :]
    return [one for word in innermost[1].split(",") for one in _alternatives(before + word + after)]


def _expression(pattern: str) -> re.Pattern[str]:
    """A pattern without braces as a regular expression."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\])", pattern)
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}

    def meaning(part: str) -> str:
        if part in meanings:
            return meanings[part]
        return part.replace("[!", "[^", 1) if part.startswith("[") else re.escape(part)

    return re.compile("".join(map(meaning, parts)), re.DOTALL)
