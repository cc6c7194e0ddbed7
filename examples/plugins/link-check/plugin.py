"""A Toolpost plugin with the step type `link-check`: finds links in Markdown that lead nowhere."""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import unquote

from toolpost_sdk import Context, Files, Outcome, TestResult, plugin, step

LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+[\"'][^)]*)?\)|^\s*\[[^\]]+\]:\s*<?(\S+?)>?\s*$")
"""A link in a line, or the definition of one."""
FENCE = re.compile(r"^\s*(```|~~~)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
CODE = re.compile(r"`[^`]*`")


@dataclass
class Parameters:
    """What the configuration can set."""

    files: Annotated[str, "The documents, as a pattern."] = "**/*.md"
    ignore: Annotated[list[str], "Beginnings of links that are not looked at."] = field(default_factory=list)
    warn_only: Annotated[bool, "Ends with warnings instead of a failure."] = False


@dataclass(frozen=True)
class Broken:
    """A link that leads nowhere."""

    document: str
    line: int
    link: str
    reason: str


@step("link-check", summary="Finds links in Markdown documents that lead nowhere.")
def link_check(parameters: Parameters, ctx: Context) -> Outcome:
    documents = ctx.files.glob(parameters.files)
    if not documents:
        return Outcome.skipped(f"no document is called {parameters.files}")
    checker = Checker(ctx.files, parameters.ignore)
    broken: list[Broken] = []
    for done, document in enumerate(documents):
        ctx.set_progress(done, len(documents), "documents")
        broken += checker.check(document)
    ctx.set_property("broken-links", len(broken))
    if not broken:
        return Outcome.success(f"{checker.links} links in {len(documents)} documents")
    tell(broken, ctx)
    summary = f"{len(broken)} of {checker.links} links lead nowhere"
    return Outcome.warnings(summary) if parameters.warn_only else Outcome.failure(summary)


def tell(broken: list[Broken], ctx: Context) -> None:
    """Shows people the broken links, and gives them to programs."""
    with ctx.text_log("broken links") as log:
        for one in broken:
            print(f"{one.document}:{one.line}: {one.link} {one.reason}", file=log)
    with ctx.test_results("links", "code_issue", "message") as results:
        for one in broken:
            results.add(TestResult(f"{one.link} {one.reason}", code_path=one.document, line=one.line))


class Checker:
    """Checks documents, and remembers what it has found out about the files that they lead to."""

    def __init__(self, files: Files, ignore: list[str]) -> None:
        self.links = 0
        self._files = files
        self._ignore = tuple(ignore)
        self._anchors: dict[str, set[str]] = {}
        self._exists: dict[str, bool] = {}

    def check(self, document: str) -> Iterator[Broken]:
        """The links of a document that lead nowhere."""
        for line, link in links(self._files.lines(document)):
            if re.match(r"[a-z][a-z0-9+.-]*:|//", link, re.IGNORECASE) or link.startswith(self._ignore or "\0"):
                continue
            self.links += 1
            if reason := self._reason(document, link):
                yield Broken(document, line, link, reason)

    def _reason(self, document: str, link: str) -> str | None:
        """Why a link leads nowhere; `None` when it leads somewhere."""
        path, _, anchor = link.partition("#")
        target = document
        if path:
            base = "" if path.startswith("/") else posixpath.dirname(document)
            target = posixpath.normpath(posixpath.join(base, unquote(path).lstrip("/")))
        if target.startswith(".."):
            return "leads out of the sources"
        if path and not self._is_there(target):
            return "does not exist"
        if anchor and target.endswith(".md") and anchor.lower() not in self._anchors_of(target):
            return "names no heading"
        return None

    def _is_there(self, path: str) -> bool:
        if path not in self._exists:
            self._exists[path] = self._files.exists(path)
        return self._exists[path]

    def _anchors_of(self, document: str) -> set[str]:
        if document not in self._anchors:
            self._anchors[document] = set(anchors(self._files.lines(document)))
        return self._anchors[document]


def links(lines: Iterator[str]) -> Iterator[tuple[int, str]]:
    """The links of a document with their line numbers, without those in code."""
    for number, line in prose(lines):
        for match in LINK.finditer(CODE.sub("", line)):
            yield number, match[1] or match[2]


def anchors(lines: Iterator[str]) -> Iterator[str]:
    """What links to the headings of a document are called, as code hosts have it."""
    seen: dict[str, int] = {}
    for _, line in prose(lines):
        if heading := HEADING.match(line):
            name = re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-")
            seen[name] = seen.get(name, -1) + 1
            yield f"{name}-{seen[name]}" if seen[name] else name
        yield from re.findall(r"(?:id|name)=[\"']([^\"']+)", line)


def prose(lines: Iterator[str]) -> Iterator[tuple[int, str]]:
    """The lines outside of blocks of code, with their numbers."""
    fence = None
    for number, line in enumerate(lines, start=1):
        if match := FENCE.match(line):
            if fence is None:
                fence = match[1]
            elif fence == match[1]:
                fence = None
        elif fence is None:
            yield number, line


PLUGIN = plugin("link-check", "0.1.0", "Checks the links of documents", steps=[link_check])
