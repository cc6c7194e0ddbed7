// A host for tests: commands answer from a script, files are in memory, and what the plugin does can be looked at.
//
// It keeps to the contract where a plugin could notice: output comes in small pieces that cut lines and characters,
// paths have to stay inside the directory of the build, a log has one kind, and the sizes of names and values are
// limited. The documentation is in mock.d.ts.

import { createHmac } from "node:crypto";

import { join } from "./commands.js";
import { Context } from "./context.js";
import { ConfigError, PermanentError } from "./errors.js";
import { toBytes } from "./files.js";
import { StartedCommand } from "./mock/commands.js";
import { MockFiles } from "./mock/files.js";

export { MockCommand } from "./mock/commands.js";

const PROPERTY_NAME_BYTES_MAX = 256;
const PROPERTY_VALUE_BYTES_MAX = 64 * 1024;
const KEY_BYTES_MAX = 256;
const VALUE_BYTES_MAX = 64 * 1024;
const LOG_NAME_BYTES_MAX = 64;
const LOGS_MAX = 64;

export class MockHost {
  commands = [];
  interrupted = 0;
  summaries = [];
  progress = [];
  urls = [];
  operatorLog = [];
  mails = [];
  requests = [];
  sourceStamps = [];
  cancelled = false;

  #files = new MockFiles();
  #script = [];
  #answers = [];
  #properties = new Map();
  #logs = new Map();
  #secrets = new Map();
  #values = new Map();
  #buildLogs = new Map();
  #renderer;

  // What a test says beforehand.

  command(line, answer) {
    this.#script.push({ line, answer });
    return this;
  }

  file(path, content) {
    this.#files.write(path, toBytes(content), false);
    return this;
  }

  withProperty(name, value) {
    this.#properties.set(name, { value, source: "test" });
    return this;
  }

  withSecret(name, value = "secret") {
    this.#secrets.set(name, value);
    return this;
  }

  answer(method, url, response) {
    this.#answers.push({ method, url, response });
    return this;
  }

  buildLog(number, lines) {
    this.#buildLogs.set(number, [...lines]);
    return this;
  }

  renders(renderer) {
    this.#renderer = renderer;
    return this;
  }

  // What a test runs.

  run(plugin, step, parameters = {}) {
    return plugin.run(step, asJson(parameters), this);
  }

  async handle(plugin, scheduler, event, { parameters = {}, state = null, nowMs = 0 } = {}) {
    const reaction = await plugin.handle(scheduler, asJson(parameters), state, event, nowMs, this);
    return { actions: [], ...reaction, state: asJson(reaction.state ?? null) };
  }

  report(plugin, reporter, event, { parameters = {}, key = "delivery-1", attempt = 1, atMs = 0 } = {}) {
    return plugin.report(reporter, asJson(parameters), { key, attempt, atMs, event }, this);
  }

  get context() {
    return new Context(this);
  }

  // What a test looks at afterwards.

  log(name, stream = undefined) {
    const log = this.#logs.get(name);
    if (!log) throw new Error(`the step has no log \`${name}\`, only ${this.logNames.join(", ") || "none"}`);
    const wanted = log.content.filter((piece) => stream === undefined || piece.stream === stream);
    return new TextDecoder().decode(join(wanted.map((piece) => piece.data)));
  }

  get logNames() {
    return [...this.#logs.keys()].sort();
  }

  propertyValue(name) {
    return this.#properties.get(name)?.value;
  }

  fileContent(path) {
    const content = this.#files.content(path);
    return content && new TextDecoder().decode(content);
  }

  // What the plugin calls.

  writeOperatorLog(level, message) {
    this.operatorLog.push({ level, message });
  }

  getProperty(name) {
    return this.#properties.get(name);
  }

  setProperty(name, value) {
    limit("the name of a property", toBytes(name).length, PROPERTY_NAME_BYTES_MAX);
    limit("the value of a property", toBytes(JSON.stringify(value)).length, PROPERTY_VALUE_BYTES_MAX);
    this.#properties.set(name, { value: asJson(value), source: this.build().step });
  }

  properties() {
    return Object.fromEntries([...this.#properties].sort());
  }

  openLog(name, kind) {
    limit("the name of a log", toBytes(name).length, LOG_NAME_BYTES_MAX);
    if (!this.#logs.has(name)) {
      limit("the number of logs", this.#logs.size + 1, LOGS_MAX);
      this.#logs.set(name, { kind, content: [], finished: false });
    }
    const log = this.#logs.get(name);
    if (log.kind !== kind || log.finished) throw new PermanentError(`the log \`${name}\` is finished or of another kind`);
    return new OpenLog(name, log);
  }

  startCommand(spec) {
    const answer = this.#nextAnswer(spec.line);
    this.commands.push(spec);
    if (answer.notStarted) throw answer.notStarted;
    for (const [path, content] of answer.files) this.file(path, content);
    if (spec.log !== undefined) {
      const log = this.openLog(spec.log, "stdio");
      for (const { source, data } of answer.output) log.append(source, data);
    }
    return new StartedCommand(answer, spec.captureBytes, () => (this.interrupted += 1));
  }

  #nextAnswer(line) {
    const place = this.#script.findIndex((known) => JSON.stringify(known.line) === JSON.stringify(line));
    if (place >= 0) return this.#script.splice(place, 1)[0].answer;
    const known = JSON.stringify(this.#script.map((entry) => entry.line));
    throw new Error(`the test has no answer for ${JSON.stringify(line)}, only for ${known}`);
  }

  readFile(path, offset, bytesMax) {
    return this.#files.read(path, offset, bytesMax);
  }

  writeFile(path, data, append) {
    this.#files.write(path, data, append);
  }

  stat(path) {
    return this.#files.stat(path);
  }

  glob(pattern) {
    return this.#files.glob(pattern);
  }

  mkdir(path) {
    this.#files.mkdir(path);
  }

  remove(path, recursive) {
    this.#files.remove(path, recursive);
  }

  setSummary(text) {
    this.summaries.push(text);
  }

  setProgress(done, total, unit) {
    this.progress.push({ done, total, unit });
  }

  addUrl(name, url) {
    if (!/^(https?:\/\/|\/)/.test(url)) {
      throw new PermanentError(`the link \`${url}\` starts with none of https://, http:// and /`);
    }
    this.urls.push({ name, url });
  }

  build() {
    return {
      builder: "builder",
      number: 1,
      url: "http://localhost:8010/builders/1/builds/1",
      worker: "worker",
      workdir: "/worker/builder/build",
      step: "step",
      reason: "a test",
      sourceStamps: this.sourceStamps,
    };
  }

  isCancelled() {
    return this.cancelled;
  }

  placeholder(secret) {
    this.#secret(secret);
    return `<secret ${secret}>`;
  }

  hmacSha256(secret, data) {
    return new Uint8Array(createHmac("sha256", this.#secret(secret)).update(data).digest());
  }

  #secret(name) {
    if (!this.#secrets.has(name)) throw new ConfigError("", `the secret \`${name}\` is not granted`);
    return this.#secrets.get(name);
  }

  value(key) {
    return this.#values.get(key);
  }

  setValue(key, value) {
    limit("a key", toBytes(key).length, KEY_BYTES_MAX);
    limit("a value", value?.length ?? 0, VALUE_BYTES_MAX);
    if (value === undefined) this.#values.delete(key);
    else this.#values.set(key, value);
  }

  compareAndSet(key, expected, value) {
    const text = (bytes) => bytes && bytes.join();
    if (text(this.#values.get(key)) !== text(expected)) return false;
    this.setValue(key, value);
    return true;
  }

  keys(prefix) {
    return [...this.#values.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  render(template, values) {
    if (!this.#renderer) throw new Error("the test does not say how templates are rendered: use `renders`");
    return this.#renderer(template, values);
  }

  sendMail(mail, key) {
    this.mails.push({ key, mail });
  }

  async fetch(resource, init = {}) {
    const request = { method: init.method ?? "GET", url: String(resource), headers: init.headers ?? {}, body: init.body };
    this.requests.push(request);
    const place = this.#answers.findIndex((one) => one.method === request.method && one.url === request.url);
    if (place < 0) throw new Error(`the test has no answer for ${request.method} ${request.url}`);
    return this.#answers.splice(place, 1)[0].response;
  }

  readLog(log, first, count) {
    const lines = this.#buildLogs.get(log);
    if (!lines) throw new PermanentError(`there is no log ${log}`);
    return lines.slice(first, first + count).join("\n");
  }
}

class OpenLog {
  #name;
  #log;

  constructor(name, log) {
    this.#name = name;
    this.#log = log;
  }

  append(stream, data) {
    if (this.#log.finished) throw new PermanentError(`the log \`${this.#name}\` is finished`);
    if (this.#log.kind !== "stdio" && stream !== "stdout") {
      throw new PermanentError(`the log \`${this.#name}\` has one stream only`);
    }
    this.#log.content.push({ stream, data: data.slice() });
  }

  finish() {
    this.append("stdout", new Uint8Array());
    this.#log.finished = true;
  }
}

/** The value as it is after a way as JSON, which is how everything passes the border of a component. */
function asJson(value) {
  return JSON.parse(JSON.stringify(value));
}

function limit(what, value, most) {
  if (value > most) throw new PermanentError(`${what} is ${value}, at most ${most} is allowed`);
}
