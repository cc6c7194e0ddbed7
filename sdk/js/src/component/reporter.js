// The exports and imports of a plugin with reporters.

import { readLog } from "toolpost:plugin/reports@1.0.0";

import { plain } from "./convert.js";
import { exported, imported } from "./failures.js";
import { Services } from "./services.js";

/** What the report of an event is called. */
const REPORTS = {
  "request-added": "request",
  "build-started": "build",
  "build-finished": "build",
  "buildset-complete": "buildset",
  "worker-lost": "worker",
  "worker-found": "worker",
  "worker-missing": "worker",
  "worker-back": "worker",
};

/** `reporter` of the contract. */
export function reporterExport(plugin) {
  return {
    report(typeName, parameters, delivery) {
      const host = new ReporterHost();
      return exported(
        (stack) => host.writeOperatorLog("error", stack),
        async () => {
          const { event, ...others } = plain(delivery);
          const told = { ...others, event: { kind: event.tag, [REPORTS[event.tag]]: event.val } };
          const { kind, text } = await plugin.report(typeName, JSON.parse(parameters), told, host);
          return { tag: kind, val: text };
        },
      );
    },
  };
}

class ReporterHost extends Services {
  readLog(log, first, count) {
    return imported(() => readLog(BigInt(log), BigInt(first), count));
  }
}
