// What steps, schedulers and reporters get to do their work with. The documentation is in index.d.ts.

import { Artifacts } from "./artifacts.js";
import { Command } from "./commands.js";
import { Files, toBytes } from "./files.js";
import { StepLog } from "./logs.js";
import { TestResults } from "./testing.js";

/** How many lines of a log a reporter reads at a time. */
const LOG_LINES = 1_000;

class Operator {
  #host;

  constructor(host) {
    this.#host = host;
  }

  debug(message) {
    this.#host.writeOperatorLog("debug", message);
  }

  info(message) {
    this.#host.writeOperatorLog("info", message);
  }

  warn(message) {
    this.#host.writeOperatorLog("warn", message);
  }

  error(message) {
    this.#host.writeOperatorLog("error", message);
  }
}

class Storage {
  #host;

  constructor(host) {
    this.#host = host;
  }

  get(key) {
    return this.#host.value(key);
  }

  getText(key) {
    const value = this.get(key);
    return value && new TextDecoder().decode(value);
  }

  set(key, value) {
    this.#host.setValue(key, optionalBytes(value));
  }

  compareAndSet(key, expected, value) {
    return this.#host.compareAndSet(key, optionalBytes(expected), optionalBytes(value));
  }

  keys(prefix = "") {
    return this.#host.keys(prefix);
  }
}

/** What steps and reporters share. */
class Services {
  #host;

  constructor(host) {
    this.#host = host;
    this.operator = new Operator(host);
    this.storage = new Storage(host);
  }

  secret(name) {
    return this.#host.placeholder(name);
  }

  hmacSha256(secret, data) {
    return this.#host.hmacSha256(secret, toBytes(data));
  }

  render(template, values) {
    return this.#host.render(template, values);
  }

  sendMail(mail, key) {
    this.#host.sendMail(mail, key);
  }

  fetch(resource, init) {
    return this.#host.fetch(resource, init);
  }
}

export class Context extends Services {
  #host;

  constructor(host) {
    super(host);
    this.#host = host;
    this.files = new Files(host);
    this.artifacts = new Artifacts(host);
  }

  argv(words, surroundings) {
    return this.command(words, surroundings);
  }

  shell(line, surroundings) {
    return this.command(line, surroundings);
  }

  command(line, { env = {}, stdin, ...surroundings } = {}) {
    return new Command(this.#host, { line, env, stdin: optionalBytes(stdin), ...surroundings });
  }

  getProperty(name, otherwise = undefined) {
    const property = this.#host.getProperty(name);
    return property ? property.value : otherwise;
  }

  setProperty(name, value) {
    this.#host.setProperty(name, value);
  }

  properties() {
    return this.#host.properties();
  }

  textLog(name) {
    return new StepLog(this.#host.openLog(name, "text"));
  }

  htmlLog(name) {
    return new StepLog(this.#host.openLog(name, "html"));
  }

  stdioLog(name) {
    return new StepLog(this.#host.openLog(name, "stdio"));
  }

  setSummary(text) {
    this.#host.setSummary(text);
  }

  setProgress(done, total, unit) {
    this.#host.setProgress(done, total, unit);
  }

  addUrl(name, url) {
    this.#host.addUrl(name, url);
  }

  get build() {
    return this.#host.build();
  }

  changes() {
    return this.#host.changes();
  }

  buildData(name) {
    return this.#host.buildData(name);
  }

  setBuildData(name, value, source = "") {
    this.#host.setBuildData(name, toBytes(value), source);
  }

  testResults(description, category, valueUnit) {
    return new TestResults(this.#host.testResults(description, category, valueUnit));
  }

  trigger(request) {
    return this.#host.trigger({ sources: "of-this-build", properties: {}, waitedFor: false, ...request });
  }

  get isCancelled() {
    return this.#host.isCancelled();
  }
}

export class SchedulerContext {
  constructor(host, nowMs) {
    this.operator = new Operator(host);
    this.nowMs = nowMs;
  }

  get now() {
    return new Date(this.nowMs);
  }
}

export class ReporterContext extends Services {
  #host;

  constructor(host) {
    super(host);
    this.#host = host;
  }

  readLog(log, first = 0, count = LOG_LINES) {
    return this.#host.readLog(log, first, count);
  }

  *logLines(log) {
    let first = 0;
    for (let piece = this.readLog(log, first); piece; piece = this.readLog(log, first)) {
      const lines = piece.split("\n");
      yield* lines;
      first += lines.length;
    }
  }
}

function optionalBytes(data) {
  return data === undefined || data === null ? undefined : toBytes(data);
}
