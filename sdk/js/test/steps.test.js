// Steps on a scripted host.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { ConfigError, FileError, PermanentError, RetryableError, definePlugin, failure } from "toolpost-sdk";
import { manifest } from "toolpost-sdk/manifest";
import { MockCommand, MockHost } from "toolpost-sdk/mock";

const parameters = {
  type: "object",
  properties: {
    target: { type: "string", default: "all" },
    limits: { type: "object", properties: { most: { type: "integer", default: 3 } } },
  },
  additionalProperties: false,
};

const plugin = definePlugin({
  name: "make-plugin",
  version: "1.0",
  description: "Runs make.",
  wants: [{ httpHost: "chat.example.org" }, "storage"],
  steps: {
    make: {
      summary: "Builds a target with make.",
      parameters,
      run({ target, limits }, ctx) {
        const exit = ctx.argv(["make", target], { log: "stdio" }).run();
        return { results: exit.results, summary: `make ${target}: ${exit}, at most ${limits?.most}` };
      },
    },
  },
});

describe("a plugin", () => {
  test("knows its types", () => {
    assert.deepEqual(plugin.kinds, ["step"]);
    assert.deepEqual(manifest({ default: plugin }, "plugin.js"), { name: "make-plugin", kinds: ["step"], http: true });
    assert.throws(() => manifest({}, "plugin.js"), /plugin\.js has no `export default definePlugin/);
  });

  test("is checked when it is defined", () => {
    const base = { name: "x", version: "1", description: "X." };
    const step = { summary: "S.", run: () => failure() };
    const refused = (definition, reason) => assert.throws(() => definePlugin(definition), reason);
    refused({ ...base }, /at least one step/);
    refused({ name: "x", version: "1", steps: { step } }, /no description/);
    refused({ ...base, steps: { a: { run() {} } } }, /the step a has no summary/);
    refused({ ...base, steps: { a: { summary: "S." } } }, /has no function run/);
    refused({ ...base, steps: { a: { ...step, parameters: {} } } }, /of the type "object"/);
    refused({ ...base, steps: { step }, stepz: {} }, /a plugin has no stepz/);
    refused({ ...base, steps: { step }, wants: [{ httpHosts: "x" }] }, /nothing that a plugin can want/);
  });

  test("runs a step with what is missing filled in", async () => {
    const host = new MockHost().command(["make", "all"], new MockCommand(2).stderr("no rule\n"));
    const outcome = await host.run(plugin, "make", { limits: {} });
    assert.deepEqual(outcome, failure("make all: exit code 2, at most 3"));
    assert.equal(host.log("stdio"), "no rule\n");
    assert.equal(host.log("stdio", "stdout"), "");
    await assert.rejects(host.run(plugin, "rinse"), /no step type `rinse`/);
  });
});

describe("commands", () => {
  const lines = (answer) => {
    const running = new MockHost().command("x", answer).context.shell("x").start();
    return [...running.lines()];
  };

  test("lines are joined from any cut", () => {
    const check = (printed, ...expected) => {
      const found = lines(new MockCommand().stdout(printed));
      assert.deepEqual(
        found.map((line) => line.text),
        expected,
      );
    };
    check("one\ntwo\r\n\nlast without end", "one", "two", "", "last without end");
    check("größer als ein Stück\n", "größer als ein Stück");
    check(new Uint8Array([0xff, 0x0a]), "\ufffd");
    check("");
  });

  test("streams do not mix", () => {
    const found = lines(new MockCommand().stdout("half ").stderr("error\n").stdout("line\n"));
    assert.deepEqual(
      found.map(({ source, text }) => [source, text]),
      [
        ["stderr", "error"],
        ["stdout", "half line"],
      ],
    );
  });

  test("a huge line is cut and says so", () => {
    const [huge, short] = lines(new MockCommand().stdout(`${"x".repeat(200_000)}\nshort\n`));
    assert.deepEqual([huge.text.length, huge.truncated], [65_536, true]);
    assert.deepEqual([short.text, short.truncated], ["short", false]);
  });

  test("captured output is limited", () => {
    const host = new MockHost().command("x", new MockCommand(3).stdout("  0123456789\n"));
    const output = host.context.shell("x").output(6);
    assert.deepEqual([output.text, output.exit.truncated, `${output.exit}`], ["0123", true, "exit code 3"]);
  });

  test("a command that is closed is interrupted", () => {
    const host = new MockHost().command("tail -f log", new MockCommand().stdout("one\ntwo\nthree\n"));
    const running = host.context.shell("tail -f log").start();
    const [first] = running.lines();
    running.close();
    assert.deepEqual([first.text, host.interrupted], ["one", 1]);
  });

  test("odd ends are told", () => {
    const run = (code, options) => new MockHost().command("x", new MockCommand(code, options)).context.shell("x").run();
    assert.throws(() => run(0, { workerLost: "reset" }), new RetryableError("the worker was lost: reset"));
    assert.throws(() => run(0, { notStarted: new PermanentError("no such program") }), /no such program/);
    assert.equal(run(0, { end: "idle-timeout" }).results, "failure");
    assert.equal(run(0, { end: "interrupted" }).results, "cancelled");
    assert.throws(() => new MockHost().command(["x"], new MockCommand()).context.shell("x").run(), /no answer for "x"/);
  });
});

describe("files", () => {
  test("of any size are read whole", () => {
    for (const size of [0, 1, 256 * 1024, 256 * 1024 + 1, 1_000_000]) {
      const content = Uint8Array.from({ length: size }, (_, n) => n % 251);
      const { files } = new MockHost().file("data", content).context;
      assert.deepEqual(files.read("data", size), content);
      if (size > 0) assert.throws(() => files.read("data", size - 1), /more than/);
    }
  });

  test("are read line by line", () => {
    const { files } = new MockHost().file("a", "eins\nzwei\n\nfünf").context;
    assert.deepEqual([...files.lines("a")], ["eins", "zwei", "", "fünf"]);
  });

  test("that are written are read again", () => {
    const { files } = new MockHost().context;
    files.write("a/b.txt", new Uint8Array(4 * 1024 * 1024 + 10));
    files.append("a/b.txt", "end");
    assert.equal(files.stat("a/b.txt").size, 4 * 1024 * 1024 + 13);
    assert.equal(files.exists("a/c.txt"), false);
    files.remove("a/b.txt");
    assert.throws(() => files.readText("a/b.txt"), new FileError("read", "a/b.txt", "not-found"));
  });

  test("keep to the rules for paths", () => {
    const { files } = new MockHost().file("a/b", "x").context;
    const refused = (kind, action) => assert.throws(action, (error) => error instanceof FileError && error.kind === kind);
    for (const path of ["/etc/passwd", "..", "a/../../b"]) refused("outside", () => files.read(path));
    refused("wrong-kind", () => files.write("a", ""));
    refused("wrong-kind", () => files.mkdir("a/b"));
    refused("not-empty", () => files.remove("a"));
    files.removeAll("a");
    refused("not-found", () => files.removeAll("a"));
  });

  test("are found by patterns", () => {
    const host = new MockHost();
    for (const path of ["top.xml", "a/one.xml", "a/b/two.xml", "a/b/two.txt"]) host.file(path, "");
    const check = (pattern, ...expected) => assert.deepEqual(host.context.files.glob(pattern), expected, pattern);
    check("*.xml", "top.xml");
    check("**/*.xml", "a/b/two.xml", "a/one.xml", "top.xml");
    check("a/*", "a/b", "a/one.xml");
    check("a/**/two.{xml,t{x,y}t}", "a/b/two.txt", "a/b/two.xml");
    check("[!a]op.???", "top.xml");
    check("nothing");
    assert.throws(() => host.context.files.glob("a/{b"), FileError);
  });
});

describe("the surroundings", () => {
  test("logs arrive whole and in order", () => {
    const host = new MockHost();
    const log = host.context.stdioLog("stdio");
    let expected = "";
    for (let n = 0; n < 5_000; n += 1) {
      log.line(`line ${n}`);
      expected += `line ${n}\n`;
    }
    log.append("stderr", "x".repeat(100_000));
    log.finish();
    assert.equal(host.log("stdio"), expected + "x".repeat(100_000));
    assert.throws(() => host.context.stdioLog("stdio"), /finished/);
  });

  test("limits of the contract are kept", () => {
    const ctx = new MockHost().context;
    assert.throws(() => ctx.setProperty("x".repeat(300), 1), /name of a property/);
    assert.throws(() => ctx.setProperty("x", "y".repeat(70_000)), /value of a property/);
    assert.throws(() => ctx.addUrl("x", "javascript:alert(1)"), /starts with none/);
    const log = ctx.textLog("a");
    log.append("stderr", "x");
    assert.throws(() => log.finish(), /one stream only/);
  });

  test("properties, secrets, values and mail", () => {
    const host = new MockHost().withProperty("count", 3).withSecret("token");
    const ctx = host.context;
    assert.deepEqual([ctx.getProperty("count"), ctx.getProperty("other", 7)], [3, 7]);
    ctx.setProperty("name", "x");
    assert.deepEqual(Object.keys(ctx.properties()), ["count", "name"]);
    assert.equal(ctx.hmacSha256("token", "data").length, 32);
    assert.match(ctx.secret("token"), /token/);
    assert.throws(() => ctx.secret("other"), ConfigError);
    assert.equal(ctx.storage.compareAndSet("seen", undefined, "1"), true);
    assert.equal(ctx.storage.compareAndSet("seen", undefined, "2"), false);
    assert.deepEqual([ctx.storage.getText("seen"), ctx.storage.keys("s")], ["1", ["seen"]]);
    ctx.sendMail({ to: ["a@example.org"], subject: "S", text: "T" }, "key");
    assert.deepEqual(host.mails[0].mail.to, ["a@example.org"]);
  });

  test("HTTP requests are answered", async () => {
    const url = "https://chat.example.org/";
    const host = new MockHost().answer("POST", url, Response.json({ id: 7 }, { status: 201 }));
    const answer = await host.context.fetch(url, { method: "POST", body: "hi" });
    assert.deepEqual([answer.status, await answer.json()], [201, { id: 7 }]);
    assert.equal(host.requests[0].body, "hi");
    await assert.rejects(host.context.fetch(url), /no answer for GET/);
  });
});

describe("the farm", () => {
  test("artifacts are kept and found", () => {
    const host = new MockHost().file("out/a.txt", "a").file("out/sub/b.txt", "b");
    const { artifacts, files } = host.context;
    const names = (found) => found.map((one) => one.name);
    assert.deepEqual(names(artifacts.uploadDirectory("out", "site").files), ["site/a.txt", "site/sub/b.txt"]);
    assert.deepEqual(names(artifacts.find("site/s")), ["site/sub/b.txt"]);
    artifacts.download("site/a.txt", "copy.txt");
    assert.equal(files.readText("copy.txt"), "a");
    assert.throws(() => artifacts.find("", { builder: "other", number: 7 }), /there is no build 7 of other/);
    assert.throws(() => artifacts.uploadFile("out/a.txt", "../a"), /cannot be the name/);
  });

  test("results are collected", () => {
    const host = new MockHost();
    const results = host.context.testResults("unit tests", "pass_fail", "boolean");
    for (let n = 0; n < 2_500; n += 1) results.add({ name: `test ${n}`, value: 1 });
    results.complete({ passed: 2_500 });
    const [made] = host.testSets;
    assert.deepEqual([made.results.length, made.isComplete, made.passed], [2_500, true, 2_500]);
    results.add({ value: 1 });
    assert.throws(() => results.complete(), /complete/);
  });

  test("builds are triggered", () => {
    const host = new MockHost().builds({ linux: "failure" });
    const done = host.context.trigger({ builders: ["mac", "linux"], waitedFor: true }).wait();
    assert.deepEqual([done.results, done.builds.map((build) => build.builder)], ["failure", ["linux", "mac"]]);
    assert.equal(host.triggered[0].sources, "of-this-build");
  });

  test("build data is remembered", () => {
    const ctx = new MockHost().context;
    ctx.setBuildData("size", "7");
    assert.equal(new TextDecoder().decode(ctx.buildData("size").value), "7");
    assert.equal(ctx.buildData("other"), undefined);
    assert.throws(() => ctx.setBuildData("7", ""), /cannot be the name/);
  });
});
