import assert from "node:assert/strict";
import { test } from "node:test";

import { ConfigError, failure, success, warnings } from "toolpost-sdk";
import { MockHost } from "toolpost-sdk/mock";

import plugin, { formatSize, parseSize } from "./plugin.js";

test("sizes are read and written", () => {
  assert.deepEqual(
    ["7 B", "250 kB", "1.5MiB", "2 GB"].map((text) => parseSize(text, "")),
    [7, 250_000, 1_572_864, 2_000_000_000],
  );
  for (const text of ["250", "kB", "-1 kB", "1 kg", "1 iB"]) assert.throws(() => parseSize(text, "f"), ConfigError);
  assert.deepEqual([0, 999, 1_234, 56_789_000].map(formatSize), ["0 B", "999 B", "1.23 kB", "56.8 MB"]);
});

test("sizes are added up and compared with their limit", async () => {
  const host = new MockHost().file("dist/a.js", "x".repeat(600)).file("dist/sub/b.js", "x".repeat(300));
  const run = (atMost) => host.run(plugin, "size-limit", { limits: [{ files: "dist/**/*.js", at_most: atMost }] });
  assert.deepEqual(await run("1 kB"), success("dist/**/*.js 900 B of 1 kB"));
  assert.equal(host.log("sizes"), "dist/**/*.js: 900 B of 1 kB\n     600 B  dist/a.js\n     300 B  dist/sub/b.js\n");
  assert.deepEqual(host.propertyValue("sizes"), { "dist/**/*.js": 900 });
  assert.deepEqual(host.testSets[0].results, [{ name: "dist/**/*.js", value: 900 }]);
});

test("what is too large or missing is a failure", async () => {
  const run = (limits) => new MockHost().file("a.bin", "x".repeat(96)).run(plugin, "size-limit", { limits });
  const limit = (files, atMost) => ({ files, at_most: atMost });
  assert.deepEqual(await run([limit("a.bin", "95 B")]), failure("too large: a.bin 96 B of 95 B"));
  assert.deepEqual(await run([limit("a.bin", "100 B")]), warnings("nearly too large: a.bin 96 B of 100 B"));
  assert.deepEqual(await run([limit("b.*", "1 B"), limit("a.bin", "1 B")]), failure("nothing is called b.*"));
  await assert.rejects(run([limit("a.bin", "1 kB"), limit("a.bin", "much")]), /parameter `limits\[1\]\.at_most`/);
});
