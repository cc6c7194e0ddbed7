// A host for tests: commands answer from a script, files are in memory, and what the plugin does can be looked at.
//
// It keeps to the contract where a plugin could notice: output comes in small pieces that cut lines and characters,
// paths have to stay inside the directory of the build, a log has one kind, and the sizes of names and values are
// limited. The documentation is in mock.d.ts.

import { createHash, createHmac } from "node:crypto";

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
const DATA_NAME_BYTES_MAX = 256;
const DATA_BYTES_MAX = 1024 * 1024;

const PAGES = "http://localhost:8010";

/** From good to bad; a build set ends like the worst of its builds. */
const BADNESS = ["skipped", "success", "warnings", "failure", "exception", "retry", "cancelled"];

export class MockHost {
  commands = [];
  interrupted = 0;
  summaries = [];
  progress = [];
  urls = [];
  operatorLog = [];
  mails = [];
  requests = [];
  testSets = [];
  triggered = [];
  buildChanges = [];
  artifacts = new Map();
  otherArtifacts = new Map();
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
  #data = new Map();
  #results = [];
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

  builds(results) {
    this.#results.push(results);
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
      id: 1,
      builder: "builder",
      number: 1,
      url: `${PAGES}/builders/1/builds/1`,
      worker: "worker",
      workdir: "/worker/builder/build",
      step: "step",
      reason: "a test",
      sourceStamps: this.sourceStamps,
      buildset: 1,
      request: 1,
      scheduler: "test",
    };
  }

  changes() {
    return this.buildChanges;
  }

  buildData(name) {
    return this.#data.get(name);
  }

  setBuildData(name, value, source) {
    if (!/^[A-Za-z_-][\w.-]*$/.test(name)) throw new PermanentError(`\`${name}\` cannot be the name of build data`);
    limit("the name of build data", name.length, DATA_NAME_BYTES_MAX);
    limit("build data", value.length, DATA_BYTES_MAX);
    this.#data.set(name, { value, source: source || this.build().step });
  }

  uploadFile(path, name) {
    const content = this.#files.content(path);
    if (!content) throw new PermanentError(`there is no file \`${path}\``);
    if (name.split("/").some((part) => ["", ".", ".."].includes(part))) {
      throw new PermanentError(`\`${name}\` cannot be the name of an artifact`);
    }
    this.artifacts.set(name, content);
    return artifact(name, content);
  }

  uploadDirectory(path, name) {
    const below = `${path.replace(/\/+$/, "")}/`;
    const start = name ? `${name}/` : "";
    const found = this.#files.glob(`${below}**`).filter((file) => this.#files.content(file));
    return { files: found.map((file) => this.uploadFile(file, start + file.slice(below.length))), skipped: [] };
  }

  download(build, name, path) {
    const content = this.#artifactsOf(build).get(name);
    if (!content) throw new PermanentError(`there is no artifact \`${name}\``);
    this.#files.write(path, content, false);
    return artifact(name, content);
  }

  findArtifacts(build, prefix) {
    const kept = [...this.#artifactsOf(build)].sort(([one], [other]) => (one < other ? -1 : 1));
    return kept.filter(([name]) => name.startsWith(prefix)).map(([name, content]) => artifact(name, content));
  }

  #artifactsOf(build) {
    if (!build) return this.artifacts;
    const kept = this.otherArtifacts.get(`${build.builder}/${build.number}`);
    if (!kept) throw new PermanentError(`there is no build ${build.number} of ${build.builder}`);
    return kept;
  }

  testResults(description, category, valueUnit) {
    const made = new MockTestSet(description, category, valueUnit);
    this.testSets.push(made);
    return made;
  }

  trigger(request) {
    this.triggered.push(request);
    return mockTriggered(this.triggered.length, [...request.builders].sort(), this.#results.shift() ?? {});
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

class MockTestSet {
  results = [];
  isComplete = false;

  constructor(description, category, valueUnit) {
    Object.assign(this, { description, category, valueUnit });
  }

  add(results) {
    if (this.isComplete) throw new PermanentError("the set of test results is complete");
    if (results.some(({ name, codePath }) => name === undefined && codePath === undefined)) {
      throw new PermanentError("a test result has neither name nor code path");
    }
    this.results.push(...results);
  }

  complete(passed, failed) {
    this.add([]);
    Object.assign(this, { isComplete: true, passed, failed });
  }
}

/** Builds that were asked for, which end as soon as somebody waits for them. */
function mockTriggered(buildset, builders, ends) {
  const builds = (facts) => builders.map((builder, index) => ({ builder, request: index + 1, ...facts(builder, index + 1) }));
  const results = (builder) => ends[builder] ?? "success";
  return {
    progress: () => ({ buildset, builds: builds((_, request) => ({ url: `${PAGES}/requests/${request}` })) }),
    wait: () => ({
      buildset,
      results: builders.map(results).reduce((one, other) => (BADNESS.indexOf(one) > BADNESS.indexOf(other) ? one : other)),
      builds: builds((builder, id) => ({ number: 1, url: `${PAGES}/builders/${id}/builds/1`, results: results(builder) })),
    }),
  };
}

function artifact(name, content) {
  const sha256 = createHash("sha256").update(content).digest("hex");
  return { name, size: content.length, mode: 0o644, sha256, url: `${PAGES}/artifacts/${name}` };
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
