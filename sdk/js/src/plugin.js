// A plugin as tables of its types.

import { Context, ReporterContext, SchedulerContext } from "./context.js";
import { PermanentError } from "./errors.js";

const KINDS = { step: "steps", scheduler: "schedulers", reporter: "reporters" };
const FUNCTIONS = { step: "run", scheduler: "handle", reporter: "report" };
const NO_PARAMETERS = { type: "object", properties: {}, additionalProperties: false };

export function definePlugin(definition) {
  for (const field of ["name", "version", "description"]) {
    if (typeof definition[field] !== "string") throw new TypeError(`the plugin has no ${field}`);
  }
  return new Plugin(definition);
}

export class Plugin {
  constructor({ name, version, description, wants = [], ...tables }) {
    this.name = name;
    this.version = version;
    this.description = description;
    this.wants = wants.map(capability);
    for (const [kind, table] of Object.entries(KINDS)) {
      const types = Object.entries(tables[table] ?? {});
      this[table] = Object.fromEntries(types.map(([type, entry]) => [type, checked(kind, type, entry)]));
      delete tables[table];
    }
    const unknown = Object.keys(tables);
    if (unknown.length > 0) throw new TypeError(`a plugin has no ${unknown.join(", ")}`);
    if (this.kinds.length === 0) throw new TypeError("a plugin has at least one step, scheduler or reporter");
  }

  /** The kinds of its types. */
  get kinds() {
    return Object.keys(KINDS).filter((kind) => Object.keys(this[KINDS[kind]]).length > 0);
  }

  async run(name, parameters, host) {
    const step = this.#find("step", name);
    return step.run(withDefaults(step.parameters, parameters), new Context(host));
  }

  async handle(name, parameters, state, event, nowMs, host) {
    const scheduler = this.#find("scheduler", name);
    const filled =
      event.kind === "force" && scheduler.force
        ? { ...event, values: withDefaults(scheduler.force, event.values) }
        : event;
    const context = new SchedulerContext(host, nowMs);
    return scheduler.handle(withDefaults(scheduler.parameters, parameters), state, filled, context);
  }

  async report(name, parameters, delivery, host) {
    const reporter = this.#find("reporter", name);
    return reporter.report(withDefaults(reporter.parameters, parameters), delivery, new ReporterContext(host));
  }

  #find(kind, name) {
    const table = this[KINDS[kind]];
    if (Object.hasOwn(table, name)) return table[name];
    throw new PermanentError(`the plugin ${this.name} has no ${kind} type \`${name}\``);
  }
}

function checked(kind, name, entry) {
  if (typeof entry.summary !== "string") throw new TypeError(`the ${kind} ${name} has no summary`);
  if (typeof entry[FUNCTIONS[kind]] !== "function") throw new TypeError(`the ${kind} ${name} has no function ${FUNCTIONS[kind]}`);
  const parameters = entry.parameters ?? NO_PARAMETERS;
  if (parameters.type !== "object") throw new TypeError(`the parameters of the ${kind} ${name} have to be of the type "object"`);
  return { ...entry, parameters };
}

const CAPABILITIES = { httpHost: "http-host", secret: "secret", environment: "environment", trigger: "trigger", artifacts: "artifacts" };

/** A capability as the contract has it. */
function capability(want) {
  if (want === "storage" || want === "mail") return { tag: want };
  const [[field, value] = [], ...more] = Object.entries(want);
  if (!Object.hasOwn(CAPABILITIES, field ?? "") || more.length > 0) {
    throw new TypeError(`${JSON.stringify(want)} is nothing that a plugin can want`);
  }
  return { tag: CAPABILITIES[field], val: value };
}

/** The value with what its JSON Schema has as `default` where something is missing. */
export function withDefaults(schema, value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  const filled = { ...value };
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (filled[name] === undefined && property.default !== undefined) filled[name] = structuredClone(property.default);
    if (filled[name] !== undefined) filled[name] = withDefaults(property, filled[name]);
  }
  return filled;
}
