"""Steps on a scripted host."""

import unittest
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from toolpost_sdk import (
    BuildData,
    BuildRequest,
    ConfigError,
    Context,
    End,
    FileError,
    FileErrorKind,
    HttpHost,
    LogStream,
    Mail,
    Outcome,
    OutputSource,
    PermanentError,
    Response,
    Results,
    RetryableError,
    TestResult,
    plugin,
    step,
)
from toolpost_sdk.commands import LINE_BYTES_MAX
from toolpost_sdk.mock import MockCommand, MockHost


@dataclass
class Parameters:
    target: Annotated[str, "The target to build."] = "all"


@step("make", summary="Builds a target with make.")
def make(parameters: Parameters, ctx: Context) -> Outcome:
    exit = ctx.argv("make", parameters.target, log="stdio").run()
    return Outcome(exit.results, f"make {parameters.target}: {exit}")


class Plugins(unittest.TestCase):
    def test_a_plugin_knows_its_types(self) -> None:
        made = plugin("make-plugin", "1.0", "Runs make.", steps=[make], wants=[HttpHost("*")])
        self.assertEqual(made.kinds, ["step"])
        self.assertIs(made.step("make"), make)
        self.assertEqual(made.schemas[Parameters]["properties"]["target"]["default"], "all")
        with self.assertRaisesRegex(PermanentError, "no step type `rinse`"):
            made.step("rinse")
        with self.assertRaisesRegex(ValueError, "at least one"):
            plugin("empty", "1.0", "Nothing.")

    def test_a_function_of_another_shape_is_no_step(self) -> None:
        with self.assertRaisesRegex(TypeError, "takes .ctx., not .parameters, ctx."):
            step("odd", summary="Odd.")(lambda ctx: Outcome.success())  # type: ignore[arg-type, misc]
        with self.assertRaisesRegex(TypeError, "annotated with a dataclass"):
            step("odd", summary="Odd.")(lambda parameters, ctx: Outcome.success())

    def test_a_step_runs_with_its_parameters(self) -> None:
        host = MockHost().command(["make", "docs"], MockCommand(2).stderr("no rule\n"))
        self.assertEqual(host.run(make, {"target": "docs"}), Outcome.failure("make docs: exit code 2"))
        self.assertEqual(host.log("stdio"), "no rule\n")
        self.assertEqual(host.log("stdio", LogStream.STDOUT), "")
        with self.assertRaisesRegex(ConfigError, "parameter `tagret`: is not known"):
            MockHost().run(make, {"tagret": "docs"})


class Commands(unittest.TestCase):
    def lines(self, answer: MockCommand) -> list[tuple[OutputSource, str]]:
        with MockHost().command("x", answer).context.shell("x").start() as running:
            return [(line.source, line.text) for line in running.lines()]

    def test_lines_are_joined_from_any_cut(self) -> None:
        def check(printed: bytes, *expected: str) -> None:
            found = self.lines(MockCommand().stdout(printed))
            self.assertEqual([text for _, text in found], list(expected))

        check(b"one\ntwo\r\n\nlast without end", "one", "two", "", "last without end")
        check("größer als ein Stück\n".encode(), "größer als ein Stück")
        check(b"\xff\n", "\N{REPLACEMENT CHARACTER}")
        check(b"")

    def test_streams_do_not_mix(self) -> None:
        found = self.lines(MockCommand().stdout("half ").stderr("error\n").stdout("line\n"))
        self.assertEqual(found, [(OutputSource.STDERR, "error"), (OutputSource.STDOUT, "half line")])

    def test_a_huge_line_is_cut_and_says_so(self) -> None:
        answer = MockCommand().stdout(b"x" * 3 * LINE_BYTES_MAX + b"\nshort\n")
        with MockHost().command("x", answer).context.shell("x").start() as running:
            huge, short = running.lines()
        self.assertEqual((len(huge.text), huge.truncated), (LINE_BYTES_MAX, True))
        self.assertEqual((short.text, short.truncated), ("short", False))

    def test_captured_output_is_limited(self) -> None:
        host = MockHost().command("x", MockCommand(3).stdout("  0123456789\n"))
        output = host.context.shell("x").output(bytes_max=6)
        self.assertEqual((output.text, output.exit.truncated, str(output.exit)), ("0123", True, "exit code 3"))

    def test_a_command_that_is_left_is_interrupted(self) -> None:
        host = MockHost().command("tail -f log", MockCommand().stdout("one\ntwo\nthree\n"))
        with host.context.shell("tail -f log").start() as running:
            self.assertEqual(next(running.lines()).text, "one")
        self.assertEqual(host.interrupted, 1)

    def test_odd_ends_are_told(self) -> None:
        def run(answer: MockCommand) -> Results:
            return MockHost().command("x", answer).context.shell("x").run().results

        with self.assertRaisesRegex(RetryableError, "the worker was lost: reset"):
            run(MockCommand(worker_lost="reset"))
        with self.assertRaisesRegex(PermanentError, "no such program"):
            run(MockCommand(not_started=PermanentError("no such program")))
        self.assertIs(run(MockCommand(end=End.IDLE_TIMEOUT)), Results.FAILURE)
        self.assertIs(run(MockCommand(end=End.INTERRUPTED)), Results.CANCELLED)

    def test_a_command_without_an_answer_fails_the_test(self) -> None:
        with self.assertRaisesRegex(AssertionError, "no answer for 'make', only for"):
            MockHost().command(["make"], MockCommand()).context.shell("make").run()


class Files(unittest.TestCase):
    def test_files_of_any_size_are_read_whole(self) -> None:
        for size in (0, 1, 256 * 1024, 256 * 1024 + 1, 1_000_000):
            content = bytes(n % 251 for n in range(size))
            files = MockHost().file("data", content).context.files
            self.assertEqual(files.read("data", size), content)
            if size:
                with self.assertRaisesRegex(PermanentError, "more than"):
                    files.read("data", size - 1)

    def test_lines_of_files_are_read(self) -> None:
        host = MockHost().file("a", "eins\nzwei\n\nfünf")
        self.assertEqual(list(host.context.files.lines("a")), ["eins", "zwei", "", "fünf"])

    def test_what_is_written_is_read_again(self) -> None:
        host = MockHost()
        files = host.context.files
        files.write("a/b.txt", b"x" * (4 * 1024 * 1024 + 10))
        files.append("a/b.txt", "end")
        self.assertEqual(files.stat("a/b.txt").size, 4 * 1024 * 1024 + 13)
        self.assertFalse(files.exists("a/c.txt"))
        files.remove("a/b.txt")
        with self.assertRaisesRegex(FileError, "could not read `a/b.txt`: it does not exist"):
            files.open("a/b.txt")

    def test_the_rules_for_paths_are_kept(self) -> None:
        files = MockHost().file("a/b", "x").context.files

        def refused(kind: FileErrorKind, action: Callable[[], object]) -> None:
            with self.assertRaises(FileError) as caught:
                action()
            self.assertIs(caught.exception.kind, kind)

        for path in ("/etc/passwd", "..", "a/../../b"):
            refused(FileErrorKind.OUTSIDE, lambda path=path: files.read(path))  # type: ignore[misc]
        refused(FileErrorKind.WRONG_KIND, lambda: files.write("a", ""))
        refused(FileErrorKind.WRONG_KIND, lambda: files.mkdir("a/b"))
        refused(FileErrorKind.NOT_EMPTY, lambda: files.remove("a"))
        files.remove_all("a")
        refused(FileErrorKind.NOT_FOUND, lambda: files.remove_all("a"))

    def test_patterns_find_files_and_directories(self) -> None:
        host = MockHost()
        for path in ("top.xml", "a/one.xml", "a/b/two.xml", "a/b/two.txt"):
            host.file(path, "")

        def check(pattern: str, *expected: str) -> None:
            self.assertEqual(host.context.files.glob(pattern), list(expected), pattern)

        check("*.xml", "top.xml")
        check("**/*.xml", "a/b/two.xml", "a/one.xml", "top.xml")
        check("a/*", "a/b", "a/one.xml")
        check("a/**/two.{xml,t{x,y}t}", "a/b/two.txt", "a/b/two.xml")
        check("[!a]op.???", "top.xml")
        check("nothing")
        with self.assertRaises(FileError):
            host.context.files.glob("a/{b")


class Surroundings(unittest.TestCase):
    def test_logs_arrive_whole_and_in_order(self) -> None:
        host = MockHost()
        log = host.context.stdio_log("stdio")
        expected = ""
        for n in range(5_000):
            print(f"line {n}", file=log)
            expected += f"line {n}\n"
        log.append(LogStream.STDERR, b"x" * 100_000)
        log.finish()
        self.assertEqual(host.log("stdio"), expected + "x" * 100_000)
        with self.assertRaisesRegex(PermanentError, "finished"):
            host.context.stdio_log("stdio")

    def test_limits_of_the_contract_are_kept(self) -> None:
        ctx = MockHost().context
        with self.assertRaisesRegex(PermanentError, "name of a property"):
            ctx.set_property("x" * 300, 1)
        with self.assertRaisesRegex(PermanentError, "value of a property"):
            ctx.set_property("x", "y" * 70_000)
        with self.assertRaisesRegex(PermanentError, "starts with none"):
            ctx.add_url("x", "javascript:alert(1)")
        with self.assertRaisesRegex(PermanentError, "one stream only"):
            log = ctx.text_log("a")
            log.append(LogStream.STDERR, b"x")
            log.finish()

    def test_properties_secrets_values_and_mail(self) -> None:
        host = MockHost().with_property("count", 3).secret("token")
        ctx = host.context
        self.assertEqual((ctx.get_property("count"), ctx.get_property("other", 7)), (3, 7))
        ctx.set_property("name", "x")
        self.assertEqual(list(ctx.properties()), ["count", "name"])
        self.assertNotIn("=", ctx.secret("token"))
        self.assertEqual(len(ctx.hmac_sha256("token", b"data")), 32)
        with self.assertRaisesRegex(ConfigError, "not granted"):
            ctx.secret("other")
        self.assertTrue(ctx.storage.compare_and_set("seen", None, b"1"))
        self.assertFalse(ctx.storage.compare_and_set("seen", None, b"2"))
        self.assertEqual((ctx.storage.get("seen"), ctx.storage.keys("s")), (b"1", ["seen"]))
        ctx.send_mail(Mail(["a@example.org"], "Subject", "text"), "key")
        self.assertEqual(host.mails[0][1].to, ["a@example.org"])

    def test_http_answers_are_judged_by_their_status(self) -> None:
        url = "https://chat.example.org/"
        host = MockHost().answer("POST", url, Response(201, body=b'{"id": 7}')).answer("GET", url, Response(503))
        answer = host.context.http("POST", url, value={"text": "hi"})
        answer.raise_for_status()
        self.assertEqual(answer.json(), {"id": 7})
        self.assertEqual(host.requests[0].headers, {"content-type": "application/json"})
        with self.assertRaisesRegex(RetryableError, "the server answered 503"):
            host.context.http("GET", url).raise_for_status()
        with self.assertRaisesRegex(PermanentError, "the server answered 404"):
            Response(404).raise_for_status()


class Farm(unittest.TestCase):
    def test_artifacts_are_kept_and_found(self) -> None:
        host = MockHost().file("out/a.txt", "a").file("out/sub/b.txt", "b")
        kept = host.context.artifacts
        self.assertEqual(
            [one.name for one in kept.upload_directory("out", "site").files], ["site/a.txt", "site/sub/b.txt"]
        )
        self.assertEqual([one.name for one in kept.find("site/s")], ["site/sub/b.txt"])
        kept.download("site/a.txt", "copy.txt")
        self.assertEqual(host.context.files.read_text("copy.txt"), "a")
        with self.assertRaisesRegex(PermanentError, "there is no build 7 of other"):
            kept.find(build=("other", 7))
        with self.assertRaisesRegex(PermanentError, "cannot be the name"):
            kept.upload_file("out/a.txt", "../a")

    def test_results_are_collected(self) -> None:
        host = MockHost()
        with host.context.test_results("unit tests", "pass_fail", "boolean") as results:
            results.extend(TestResult("1", name=f"test {n}") for n in range(2_500))
        (made,) = host.test_sets
        self.assertEqual((len(made.results), made.is_complete), (2_500, True))
        with self.assertRaises(ZeroDivisionError), host.context.test_results("x", "pass_fail", "boolean"):
            _ = 1 // 0
        self.assertFalse(host.test_sets[1].is_complete)

    def test_builds_are_triggered(self) -> None:
        host = MockHost().builds(linux=Results.FAILURE)
        done = host.context.trigger(BuildRequest(["mac", "linux"], waited_for=True)).wait()
        self.assertIs(done.results, Results.FAILURE)
        self.assertEqual([build.builder for build in done.builds], ["linux", "mac"])
        self.assertTrue(host.triggered[0].waited_for)

    def test_build_data_is_remembered(self) -> None:
        ctx = MockHost().context
        ctx.set_build_data("size", "7")
        self.assertEqual(ctx.build_data("size"), BuildData(b"7", "step"))
        self.assertIsNone(ctx.build_data("other"))
        with self.assertRaisesRegex(PermanentError, "cannot be the name"):
            ctx.set_build_data("7", b"")
