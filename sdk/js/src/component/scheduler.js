// The exports of a plugin with schedulers.

import { plain, wholeStamp } from "./convert.js";
import { exported } from "./failures.js";
import { Operator } from "./operator.js";

/** `scheduler` of the contract. */
export function schedulerExport(plugin) {
  return {
    handle(typeName, parameters, state, event, nowMs) {
      const host = new Operator();
      return exported(
        (stack) => host.writeOperatorLog("error", stack),
        async () => {
          const told = schedulerEvent(plain(event));
          const reaction = await plugin.handle(typeName, JSON.parse(parameters), JSON.parse(state), told, Number(nowMs), host);
          return {
            state: JSON.stringify(reaction.state ?? null),
            actions: (reaction.actions ?? []).map(contractAction),
          };
        },
      );
    },
  };
}

/** The event as the SDK has it: its case as `kind`, and what comes with it beside that. */
function schedulerEvent({ tag, val }) {
  switch (tag) {
    case "change":
      return { kind: tag, change: val };
    case "build-finished":
      return { kind: tag, build: val };
    case "buildset-complete":
      return { kind: tag, buildset: val };
    default:
      return { kind: tag, ...val };
  }
}

function contractAction({ kind, ...action }) {
  switch (kind) {
    case "add-buildset":
      return { tag: kind, val: newBuildset(action) };
    case "wake-at":
      return { tag: kind, val: BigInt(action.atMs) };
    case "no-wake":
      return { tag: kind };
    case "listen":
      return { tag: kind, val: action.to.map(interest) };
    case "set-status":
      return { tag: kind, val: action.text };
    default:
      throw new TypeError(`a scheduler cannot do \`${kind}\``);
  }
}

function interest(wanted) {
  return wanted === "changes" ? { tag: "changes" } : { tag: "builds-of", val: wanted.buildsOf };
}

function newBuildset({ reason, label = "", builders = [], sourceStamps = [], changes = [], properties = {}, priority = 0 }) {
  return {
    reason,
    label,
    builders,
    sourceStamps: sourceStamps.map(wholeStamp),
    changes: changes.map(BigInt),
    properties: JSON.stringify(properties),
    priority,
  };
}
