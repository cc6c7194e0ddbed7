import unittest

from plugin import anchors, link_check, links
from toolpost_sdk import ConfigError, Outcome
from toolpost_sdk.mock import MockHost


class Tests(unittest.TestCase):
    def test_links_are_found_outside_of_code(self):
        text = [
            "See [one](a.md) and [two](<b.md> 'title').",
            "`[no](code)` but ![a picture](c.png)",
            "```",
            "[no](code)",
            "```",
            "[reference]: d.md",
        ]
        self.assertEqual(list(links(iter(text))), [(1, "a.md"), (1, "b.md"), (2, "c.png"), (6, "d.md")])

    def test_headings_have_anchors(self):
        text = ["# One & Two", "## Same", "## Same ##", "```", "# no", "```", '<a id="here"></a>']
        self.assertEqual(list(anchors(iter(text))), ["one--two", "same", "same-1", "here"])

    def test_good_links_are_success(self):
        host = (
            MockHost()
            .file("README.md", "# Top\n[a](docs/a.md#part), [top](#top), [web](https://example.org), [dir](docs/)")
            .file("docs/a.md", "## Part\n[up](../README.md) [root](/README.md) [space](with%20space.txt)")
            .file("docs/with space.txt", "")
        )
        self.assertEqual(host.run(link_check), Outcome.success("6 links in 2 documents"))
        self.assertEqual(host.property_value("broken-links"), 0)

    def test_broken_links_are_told(self):
        host = MockHost().file("README.md", "x\n[a](gone.md) [b](#nothing) [c](../../out.md)")
        self.assertEqual(host.run(link_check), Outcome.failure("3 of 3 links lead nowhere"))
        self.assertEqual(
            host.log("broken links").splitlines(),
            [
                "README.md:2: gone.md does not exist",
                "README.md:2: #nothing names no heading",
                "README.md:2: ../../out.md leads out of the sources",
            ],
        )
        self.assertEqual([(one.code_path, one.line) for one in host.test_sets[0].results], [("README.md", 2)] * 3)

    def test_parameters_change_what_counts(self):
        def run(**parameters):
            host = MockHost().file("README.md", "[a](gone.md)").file("notes.txt", "")
            return host.run(link_check, parameters)

        self.assertEqual(run(warn_only=True), Outcome.warnings("1 of 1 links lead nowhere"))
        self.assertEqual(run(ignore=["gone"]), Outcome.success("0 links in 1 documents"))
        self.assertEqual(run(files="*.rst"), Outcome.skipped("no document is called *.rst"))
        with self.assertRaises(ConfigError):
            run(ignore="gone")
