// Hands on what it is told: sources to other builds, and workers to whoever reads its reports.

import { definePlugin, nothingToTell, sent, success } from "toolpost-sdk";

const nothing = { type: "object", properties: {}, additionalProperties: false };

export default definePlugin({
  name: "hand-on",
  version: "1.0",
  description: "Hands things on.",
  wants: [{ trigger: "other" }],
  steps: {
    "hand-on": {
      summary: "Triggers a build of exactly the sources of this one.",
      parameters: nothing,
      run(_, ctx) {
        const triggered = ctx.trigger({ builders: ["other"], sources: ctx.build.sourceStamps });
        return success(`${triggered.progress().builds.length} triggered`);
      },
    },
  },
  schedulers: {
    follow: {
      summary: "Builds what another builder has built.",
      parameters: nothing,
      handle(_, state, event) {
        switch (event.kind) {
          case "configured":
            return { state, actions: [{ kind: "listen", to: [{ buildsOf: "first" }] }] };
          case "build-finished":
            return {
              state,
              actions: [{ kind: "add-buildset", reason: "it is built", sourceStamps: event.build.sourceStamps }],
            };
          default:
            return { state };
        }
      },
    },
  },
  reporters: {
    tell: {
      summary: "Tells of workers.",
      parameters: nothing,
      report(_, { event }) {
        if (!event.kind.startsWith("worker-")) return nothingToTell("no worker");
        const { name, builders } = event.worker;
        return sent(`${name} of ${builders.join(", ")}: ${event.kind.slice("worker-".length)}`);
      },
    },
  },
});
