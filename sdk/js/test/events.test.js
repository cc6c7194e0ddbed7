// Schedulers and reporters on a scripted host.

import assert from "node:assert/strict";
import { test } from "node:test";

import { definePlugin, nothingToTell, sent } from "toolpost-sdk";
import { MockHost } from "toolpost-sdk/mock";
import { plain, wholeStamp } from "toolpost-sdk/component/convert";

const plugin = definePlugin({
  name: "events",
  version: "1.0",
  description: "For tests.",
  schedulers: {
    batch: {
      summary: "Collects changes.",
      parameters: { type: "object", properties: { waitMs: { type: "integer", default: 1_000 } } },
      force: { type: "object", properties: { branch: { type: "string", default: "main" } } },
      handle({ waitMs }, state, event, ctx) {
        const waiting = state?.waiting ?? [];
        switch (event.kind) {
          case "change":
            return {
              state: { waiting: [...waiting, event.change.id], since: undefined },
              actions: [{ kind: "wake-at", atMs: ctx.nowMs + waitMs }],
            };
          case "timer":
            return { state: null, actions: [{ kind: "add-buildset", reason: ctx.now.toISOString(), changes: waiting }] };
          case "force":
            return { state, actions: [{ kind: "add-buildset", reason: event.values.branch }] };
          default:
            return { state };
        }
      },
    },
  },
  reporters: {
    tell: {
      summary: "Tells of failures.",
      report(_, { event }, ctx) {
        if (event.kind !== "build-finished" || event.build.results !== "failure") return nothingToTell("nothing failed");
        return sent(`${event.build.builder}: ${[...ctx.logLines(7)].length} lines`);
      },
    },
  },
});

test("a scheduler remembers its state as JSON", async () => {
  const host = new MockHost();
  const first = await host.handle(plugin, "batch", { kind: "configured", first: true, builders: ["b"] });
  assert.deepEqual(first, { state: null, actions: [] });
  const second = await host.handle(plugin, "batch", { kind: "change", change: { id: 5 } }, { nowMs: 10 });
  assert.deepEqual(second, { state: { waiting: [5] }, actions: [{ kind: "wake-at", atMs: 1_010 }] });
  const { actions } = await host.handle(plugin, "batch", { kind: "timer" }, { state: second.state });
  assert.deepEqual(actions, [{ kind: "add-buildset", reason: "1970-01-01T00:00:00.000Z", changes: [5] }]);
});

test("what is missing in a form is filled in", async () => {
  const event = { kind: "force", owner: "me", reason: "now", values: {} };
  const { actions } = await new MockHost().handle(plugin, "batch", event);
  assert.deepEqual(actions, [{ kind: "add-buildset", reason: "main" }]);
});

test("a delivery is told or skipped", async () => {
  const lines = Array.from({ length: 2_345 }, (_, n) => `line ${n}`);
  const host = new MockHost().buildLog(7, lines);
  const failed = { kind: "build-finished", build: { builder: "b", results: "failure" } };
  assert.deepEqual(await host.report(plugin, "tell", failed), sent("b: 2345 lines"));
  const lost = { kind: "worker-lost", worker: { name: "w" } };
  assert.deepEqual(await host.report(plugin, "tell", lost), nothingToTell("nothing failed"));
});

test("values of the contract become plain ones", () => {
  const build = { id: 5n, branch: null, sourceStamps: [{ revision: "a", patch: 7n }], properties: '{"x":[1]}', data: new Uint8Array([1]) };
  assert.deepEqual(plain(build), {
    id: 5,
    branch: undefined,
    sourceStamps: [{ revision: "a", patch: 7 }],
    properties: { x: [1] },
    data: new Uint8Array([1]),
  });
});

test("source stamps that are handed back are whole", () => {
  const empty = { codebase: "", repository: "", project: "", patch: undefined };
  assert.deepEqual(wholeStamp({ revision: "a" }), { ...empty, revision: "a" });
  assert.deepEqual(wholeStamp({ codebase: "c", patch: 7 }), { ...empty, codebase: "c", patch: 7n });
});
