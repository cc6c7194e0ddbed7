/**
 * Write plugins for the Toolpost build master.
 *
 * A plugin is a WebAssembly component that brings new kinds of steps, schedulers and reporters. Everything but HTTP looks
 * synchronous, because waiting costs it nothing; only computing counts against its CPU budget.
 *
 * ```js
 * import { definePlugin } from "toolpost-sdk";
 *
 * export default definePlugin({
 *   name: "make-plugin",
 *   version: "0.1.0",
 *   description: "Runs make.",
 *   steps: {
 *     make: {
 *       summary: "Builds a target with make.",
 *       parameters: {
 *         type: "object",
 *         properties: { target: { type: "string", description: "The target to build.", default: "all" } },
 *         additionalProperties: false,
 *       },
 *       run({ target }, ctx) {
 *         const exit = ctx.argv(["make", target], { log: "stdio" }).run();
 *         return { results: exit.results, summary: `make ${target}` };
 *       },
 *     },
 *   },
 * });
 * ```
 *
 * Tests run against `MockHost` of `toolpost-sdk/mock`.
 */

/** JSON Schema (draft 2020-12) of parameters. The SDK fills in what has a `default`, the host checks the rest. */
export interface ParametersSchema {
  type: "object";
  properties?: Record<string, Record<string, any>>;
  [keyword: string]: any;
}

/** A value, or a promise of it. */
type Awaitable<T> = T | Promise<T>;

/** Something that only the operator can allow. */
export type Capability =
  /** HTTP requests to this host (`chat.example.org:8443`). `*`: to hosts that only the operator knows. */
  | { httpHost: string }
  /** The secret of this name. `*`: secrets that only the operator knows. */
  | { secret: string }
  /** This variable of the master's environment. */
  | { environment: string }
  /** Builds of this builder. `*`: of builders that only the operator knows. */
  | { trigger: string }
  /** Reading what builds of this builder have kept, when it is not that of the step. `*`: of builders that only the operator knows. */
  | { artifacts: string }
  /** Values that outlive a call. */
  | "storage"
  /** Mail through the master's server. */
  | "mail";

export interface PluginDefinition {
  /** The name of its file without `.wasm`. */
  name: string;
  /** The author's version, for people. */
  version: string;
  /** What it is for, in one sentence. */
  description: string;
  /** What it needs beyond the contract. */
  wants?: Capability[];
  /** Step types by the name that `use` in a `[[builder.step]]` has. */
  steps?: Record<string, StepDefinition>;
  /** Scheduler types by the name that `use` in a `[[scheduler]]` has. */
  schedulers?: Record<string, SchedulerDefinition>;
  /** Reporter types by the name that `use` in a `[[reporter]]` has. */
  reporters?: Record<string, ReporterDefinition>;
}

interface Definition {
  /** What it does, in one sentence. */
  summary: string;
  /** What the configuration can set; nothing unless it is there. */
  parameters?: ParametersSchema;
}

export interface StepDefinition<P = any> extends Definition {
  /** Runs the step from top to bottom. Errors other than those of the SDK are bugs: the log `traceback` has them. */
  run(parameters: P, ctx: Context): Awaitable<Outcome>;
}

export interface SchedulerDefinition<P = any, S = any> extends Definition {
  /** What a person fills in who forces it; without it, it cannot be forced. */
  force?: ParametersSchema;
  /**
   * Takes in an event. `state` is what the last reaction said, and `null` at first. It must give the same answer for
   * the same input, so it has no clock but `ctx.now`.
   */
  handle(parameters: P, state: S | null, event: SchedulerEvent, ctx: SchedulerContext): Awaitable<Reaction<S>>;
}

export interface ReporterDefinition<P = any> extends Definition {
  /** Delivers one thing, at least once: after a crash it comes again, with the same `key`. */
  report(parameters: P, delivery: Delivery, ctx: ReporterContext): Awaitable<ReportOutcome>;
}

/** A plugin, which a module exports as `default`. */
export interface Plugin {
  readonly name: string;
  readonly kinds: ("step" | "scheduler" | "reporter")[];
}

/** Makes a plugin. Throws `TypeError` when something is missing. */
export function definePlugin(definition: PluginDefinition): Plugin;

/** A result, in the order of Buildbot's codes 0 to 6. */
export type Results = "success" | "warnings" | "failure" | "skipped" | "exception" | "retry" | "cancelled";

/** The end of a step. An empty summary keeps the text that `ctx.setSummary` has set last. */
export interface Outcome {
  results: Results;
  summary: string;
}

/** The step worked. */
export function success(summary?: string): Outcome;
/** The step worked, with something to look at. */
export function warnings(summary?: string): Outcome;
/** The step ran, and the code under test is at fault. */
export function failure(summary?: string): Outcome;
/** There was nothing to do. */
export function skipped(summary?: string): Outcome;

/** What became of a delivery. */
export interface ReportOutcome {
  kind: "sent" | "skipped";
  text: string;
}

/** It was told; with a text for the operator, such as `201 Created`. */
export function sent(text: string): ReportOutcome;
/** There was nothing to tell, for this reason. */
export function nothingToTell(reason: string): ReportOutcome;

/** The plugin could not do its work, for a reason that the subclasses tell apart. */
export class PluginError extends Error {}
/** Trying again later may help: the whole build runs again, or the delivery is tried again. */
export class RetryableError extends PluginError {
  constructor(message: string);
}
/** Trying again does not help. A step ends as EXCEPTION. */
export class PermanentError extends PluginError {
  constructor(message: string);
}
/** The parameter `field` has to change, for a reason that its JSON Schema cannot express. */
export class ConfigError extends PluginError {
  constructor(field: string, message: string);
  readonly field: string;
}
/** A file on the worker could not be used. That its worker was lost is a `RetryableError` instead. */
export class FileError extends PermanentError {
  constructor(action: string, path: string, kind: FileErrorKind, reason?: string);
  readonly action: string;
  readonly path: string;
  readonly kind: FileErrorKind;
}
export type FileErrorKind = "not-found" | "wrong-kind" | "not-empty" | "outside" | "denied" | "other";

/** The log of the master, which its operator reads. What users of the farm are to read belongs in a log of the step. */
export interface Operator {
  /** For the author of the plugin. */
  debug(message: string): void;
  /** Worth knowing. */
  info(message: string): void;
  /** Something is odd, the work goes on. */
  warn(message: string): void;
  /** The operator should look at it. */
  error(message: string): void;
}

/** Values that outlive a call, shared by all types of the plugin. Keys have at most 256 bytes, values 64 KiB. */
export interface Storage {
  get(key: string): Uint8Array | undefined;
  getText(key: string): string | undefined;
  /** Sets the value of a key; `undefined` removes it. */
  set(key: string, value: Uint8Array | string | undefined): void;
  /** Sets the value of a key if it is `expected` (`undefined`: if there is none); whether it was. */
  compareAndSet(
    key: string,
    expected: Uint8Array | string | undefined,
    value: Uint8Array | string | undefined,
  ): boolean;
  /** The keys that start with this, sorted. */
  keys(prefix?: string): string[];
}

/** What steps and reporters share. */
export interface Services {
  readonly operator: Operator;
  /** Needs the grant `storage`. */
  readonly storage: Storage;
  /**
   * The placeholder of a secret, which the host replaces where it leaves for somebody who may have it: in HTTP requests
   * to granted hosts, in mail, and in command lines, environments and standard input of commands.
   */
  secret(name: string): string;
  /** The HMAC with SHA-256 of these bytes, with a secret as its key, for signatures of requests. */
  hmacSha256(secret: string, data: Uint8Array | string): Uint8Array;
  /** Renders a template (Jinja's language) with these values. Throws `ConfigError`, which says what is wrong. */
  render(template: string, values: Record<string, unknown>): string;
  /** Hands a mail to the master's server. `key` tells repeats of it. Needs the grant `mail`. */
  sendMail(mail: Mail, key: string): void;
  /** Makes an HTTP request. Needs the grant `httpHost`. Throws `RetryableError` when there is no answer. */
  fetch(resource: string, init?: RequestInit): Promise<Response>;
}

/** A mail. At most 100 recipients and 4 MiB; it has `text`, `html` or both. */
export interface Mail {
  to: string[];
  subject: string;
  text?: string;
  html?: string;
  /** Who it is from; as configured unless it is there. */
  sender?: string;
  cc?: string[];
  bcc?: string[];
  replyTo?: string;
  headers?: [string, string][];
  attachments?: { name: string; contentType: string; data: Uint8Array }[];
}

/** The build that a step runs in, and its worker. */
export interface Context extends Services {
  /** A program with its arguments, passed as they are, without a shell. */
  argv(words: string[], surroundings?: Surroundings): Command;
  /** A line for the worker's shell (`/bin/sh -c`). */
  shell(line: string, surroundings?: Surroundings): Command;
  /** A command in either form. */
  command(line: string | string[], surroundings?: Surroundings): Command;
  /** The files on the worker. */
  readonly files: Files;
  /** The value of a property of the build. */
  getProperty(name: string, otherwise?: any): any;
  /** All properties of the build with who set them, ordered by name. */
  properties(): Record<string, { value: any; source: string }>;
  /** Sets a property of the build, visible at once to later steps and to people. At most 64 KiB. */
  setProperty(name: string, value: unknown): void;
  /** Opens a log of plain text in this step, or makes it. */
  textLog(name: string): StepLog;
  /** Opens a log that is a piece of HTML, or makes it. */
  htmlLog(name: string): StepLog;
  /** Opens a log of program output, or makes it. Commands write to one by themselves. */
  stdioLog(name: string): StepLog;
  /** Sets the text beside the name of the step, such as `testing 120 of 415`. */
  setSummary(text: string): void;
  /** Says how far the step is: `done` of `total` `unit` (`tests`, `files`). A `total` of 0 is not known. */
  setProgress(done: number, total: number, unit: string): void;
  /** Adds a link to the step; it starts with `https://`, `http://` or `/`. */
  addUrl(name: string, url: string): void;
  /** The build that this step belongs to. */
  readonly build: BuildInfo;
  /** The changes that the build was made for; none when it was forced. At most 1,000, the newest. */
  changes(): Change[];
  /** A named value of the build. */
  buildData(name: string): { value: Uint8Array; source: string } | undefined;
  /** Sets a named value of the build, for later steps and programs. At most 1 MiB. */
  setBuildData(name: string, value: Uint8Array | string, source?: string): void;
  /** Files that are kept with a build. */
  readonly artifacts: Artifacts;
  /** Makes a set of test results, of one of Buildbot's categories and units (`pass_fail`, `boolean`) or others. */
  testResults(description: string, category: string, valueUnit: string): TestResults;
  /** Asks for builds of other builders. Needs the grant `trigger` for each. Links to them appear on the step. */
  trigger(request: BuildRequest): Triggered;
  /** Whether the step was cancelled. Ask in loops that do not wait for commands. */
  readonly isCancelled: boolean;
}

export interface Surroundings {
  /** Directory relative to the working directory of the step; made if it is not there. */
  workdir?: string;
  /** Variables that are set, and those that are taken away (`null`). */
  env?: Record<string, string | null>;
  /** Standard input; at most 4 MiB. */
  stdin?: Uint8Array | string;
  /** Ends it when it prints nothing for so long, instead of after what the configuration says. */
  idleTimeoutMs?: number;
  /** Ends it when it runs for so long, instead of after what the configuration says. */
  totalTimeoutMs?: number;
  /** The log of this step that its output streams to, without passing through the plugin. */
  log?: string;
}

/** A command that is not started yet. */
export interface Command {
  /** Runs it to its end. Throws `PermanentError` without such a program, `RetryableError` when the worker is lost. */
  run(): Exit;
  /** Runs it to its end and keeps the first MiB, or `bytesMax`, of what it printed. */
  output(bytesMax?: number): Output;
  /** Starts it, to read its output while it runs, or to run several at once. Read it to the end or `wait`. */
  start(): Running;
}

export interface Running {
  /** Its output, line by line, in the order in which the lines were completed, as they come. */
  lines(): Iterable<Line>;
  /** Its output as it comes, cut anywhere. */
  chunks(): Iterable<{ source: "stdout" | "stderr"; data: Uint8Array }>;
  /** Waits until it has ended; output that was not read is dropped. */
  wait(): Exit;
  /** Ends it and everything that it started; `wait` tells the end. */
  interrupt(): void;
  /** Interrupts it if it still runs, and forgets it. Happens by itself at the end of the step. */
  close(): void;
}

/** A line of output, without its end. `truncated`: it was longer than 64 KiB and was cut. */
export interface Line {
  source: "stdout" | "stderr";
  text: string;
  truncated: boolean;
}

export type End = "code" | "signal" | "idle-timeout" | "total-timeout" | "interrupted";

/** How a command ended. As a text it is `exit code 2` or the like. */
export class Exit {
  constructor(end: End, number?: number, elapsedMs?: number, truncated?: boolean);
  readonly end: End;
  /** The exit code or the signal. */
  readonly number: number | undefined;
  readonly elapsedMs: number;
  /** Whether output was dropped because it was more than was asked for. */
  readonly truncated: boolean;
  /** The exit code; `undefined` when the command did not end by itself. */
  readonly code: number | undefined;
  /** Whether the command ended by itself with the code 0. */
  readonly isSuccess: boolean;
  /** The result of a step that is this command and nothing else. */
  readonly results: Results;
  toString(): string;
}

export interface Output {
  readonly exit: Exit;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  /** Standard output as text without white space around it. */
  readonly text: string;
}

/** The files on the worker. Paths are relative to the working directory of the step. Methods throw `FileError`. */
export interface Files {
  /** The content of a file, a piece at a time, however large it is. */
  chunks(path: string): Iterable<Uint8Array>;
  /** The lines of a file without their ends, read a piece at a time. */
  lines(path: string): Iterable<string>;
  /** A whole file of at most 16 MiB, or `bytesMax`. */
  read(path: string, bytesMax?: number): Uint8Array;
  /** A whole file of at most 16 MiB, or `bytesMax`, as text. */
  readText(path: string, bytesMax?: number): string;
  /** Writes a file in the place of what is there; missing directories are made. */
  write(path: string, data: Uint8Array | string): void;
  /** Writes to the end of a file, which is made if it is not there. */
  append(path: string, data: Uint8Array | string): void;
  stat(path: string): { kind: "file" | "directory" | "symlink" | "other"; size: number; modifiedMs: number };
  exists(path: string): boolean;
  /** Paths that match a pattern of `*`, `?`, `[abc]`, `{a,b}` and `**` (any number of directories), sorted. */
  glob(pattern: string): string[];
  mkdir(path: string): void;
  /** Removes a file, a symbolic link or an empty directory. */
  remove(path: string): void;
  /** Removes whatever is at this path, with all that is in it. */
  removeAll(path: string): void;
}

/** A log of this step. */
export interface StepLog {
  /** Appends a line, which is shown after some more, or after `flush`. */
  line(text?: string): void;
  /** Appends a text or bytes to a stream. Logs of text and HTML have `stdout` only. */
  append(stream: "stdout" | "stderr" | "header", data: Uint8Array | string): void;
  /** Shows people what was written up to now. */
  flush(): void;
  /** Says that nothing more comes, and shows what was written. */
  finish(): void;
}

/** A build by the name of its builder and its number. Its artifacts have to be wanted and granted when the builder is not that of the step. */
export interface BuildOf {
  builder: string;
  number: number;
}

/** A file that is kept with a build. */
export interface Artifact {
  name: string;
  size: number;
  mode: number;
  sha256: string;
  /** Where people find it. */
  url: string;
}

/**
 * Files that are kept with a build when the worker's directory is gone. They move between worker and master without
 * passing through the plugin. Without a `build`, it is the one that this step belongs to.
 */
export interface Artifacts {
  /** Keeps a file of the worker under this name, in place of one that has it. At most 1 GiB. */
  uploadFile(path: string, name: string): Artifact;
  /** Keeps each file below a directory of the worker, under `name`, a `/` and its path below that directory. */
  uploadDirectory(path: string, name?: string): { files: Artifact[]; skipped: string[] };
  /** Writes an artifact to a path on the worker, with its permissions; missing directories are made. */
  download(name: string, path: string, build?: BuildOf): Artifact;
  /** The artifacts whose names start with this, in their order. At most 10,000. */
  find(prefix?: string, build?: BuildOf): Artifact[];
}

/** One result. Name, code path or both say what it is about. */
export interface TestResult {
  name?: string;
  codePath?: string;
  line?: number;
  durationNs?: number;
  /** The result in the unit of its set: `1` and `0` for `boolean`, a number, a message. */
  value: string | number;
}

/** Results of one kind, from one run of a program. */
export interface TestResults {
  add(...results: TestResult[]): void;
  /** Says that all results are there; a set that nobody completes tells readers that results are missing. */
  complete(counts?: { passed?: number; failed?: number }): void;
}

/** Builds to ask for. */
export interface BuildRequest {
  /** The names of the builders, 1 to 100. Each gets one request. */
  builders: string[];
  /** What they are to build: what this build builds unless it is there. */
  sources?: "of-this-build" | "newest" | Partial<SourceStamp>[];
  properties?: Record<string, any>;
  reason?: string;
  priority?: number;
  /** Whether the step waits for them: they are stopped when it is cancelled. */
  waitedFor?: boolean;
}

/** Builds that were asked for. */
export interface Triggered {
  /** How far they are now. */
  progress(): TriggerProgress;
  /** Waits until all results are final, or the step is cancelled: then `results` may be missing. */
  wait(): TriggerProgress;
}

export interface TriggerProgress {
  buildset: number;
  /** The worst of the results, once all are final. */
  results?: Results;
  builds: { builder: string; request: number; number?: number; url: string; results?: Results }[];
}

export interface BuildInfo {
  id: number;
  builder: string;
  number: number;
  url: string;
  worker: string;
  /** The working directory of the step on the worker, absolute. */
  workdir: string;
  step: string;
  reason: string;
  sourceStamps: SourceStamp[];
  buildset: number;
  request: number;
  scheduler?: string;
}

/** Which sources a build works on, for one codebase. */
export interface SourceStamp {
  codebase: string;
  repository: string;
  project: string;
  branch?: string;
  revision?: string;
  /**
   * The id of the patch that is applied to the revision. Such a build is of what somebody tries, and its result says nothing of
   * the revision alone.
   */
  patch?: number;
}

/** What a change source reported. */
export interface Change extends Omit<SourceStamp, "patch"> {
  id: number;
  author: string;
  comments: string;
  files: string[];
  category?: string;
  revlink?: string;
  /** When it was made, in milliseconds since 1970, UTC. */
  whenMs: number;
  properties: Record<string, any>;
}

/** What a scheduler knows beside its state and the event. */
export interface SchedulerContext {
  readonly operator: Operator;
  /** The time of this call, in milliseconds since 1970, UTC. */
  readonly nowMs: number;
  /** The time of this call. */
  readonly now: Date;
}

/** What a scheduler hears. */
export type SchedulerEvent =
  /** The first event of all, and the first after its parameters, its builders or the plugin changed. */
  | { kind: "configured"; first: boolean; builders: string[] }
  /** A change arrived. Only while it listens to changes, which it does in the beginning. */
  | { kind: "change"; change: Change }
  /** The time that was set with `wake-at` has come. */
  | { kind: "timer" }
  /** A build ended. Only of builders that it listens to. */
  | { kind: "build-finished"; build: FinishedBuild }
  /** All builds of one of its own build sets have ended. */
  | { kind: "buildset-complete"; buildset: FinishedBuildset }
  /** A person asked for it in a form. */
  | { kind: "force"; owner: string; reason: string; values: any };

export interface FinishedBuild {
  id: number;
  builder: string;
  number: number;
  results: Results;
  buildsetId: number;
  sourceStamps: SourceStamp[];
  properties: Record<string, any>;
}

export interface FinishedBuildset {
  id: number;
  /** The label that this scheduler gave it. */
  label: string;
  results: Results;
  builds: FinishedBuild[];
}

/** The answer to an event: what to remember, and what is to be done, in this order. */
export interface Reaction<S = any> {
  state: S | null;
  actions?: Action[];
}

export type Action =
  /** Build something: one request for each builder, on the same sources. */
  | {
      kind: "add-buildset";
      reason: string;
      /** Given back with `buildset-complete`. */
      label?: string;
      /** Which of its builders; all of them unless it is there. */
      builders?: string[];
      /** The latest of the only codebase unless it is there. */
      sourceStamps?: Partial<SourceStamp>[];
      /** Ids of the changes that it is made for. */
      changes?: number[];
      properties?: Record<string, any>;
      priority?: number;
    }
  /** Get a `timer` event at this time. There is one timer: the last one counts. */
  | { kind: "wake-at"; atMs: number }
  | { kind: "no-wake" }
  /** Hear of these from now on, and of nothing else but the events that always come. */
  | { kind: "listen"; to: ("changes" | { buildsOf: string })[] }
  /** A text for people, shown beside its name. */
  | { kind: "set-status"; text: string };

/** What a reporter can do beside looking at its delivery. */
export interface ReporterContext extends Services {
  /** Lines of a log of a build that is reported, from line `first`, joined by newlines. At most 1 MiB. */
  readLog(log: number, first?: number, count?: number): string;
  /** All lines of a log, read a piece at a time. */
  logLines(log: number): Iterable<string>;
}

/** One thing to tell. */
export interface Delivery {
  /** The same each time that this delivery is tried: what it is told to can drop repeats by it. */
  key: string;
  /** How often it was tried, from 1. */
  attempt: number;
  atMs: number;
  event: ReportEvent;
}

/** What happened. */
export type ReportEvent =
  | { kind: "request-added"; request: RequestReport }
  | { kind: "build-started" | "build-finished"; build: BuildReport }
  | { kind: "buildset-complete"; buildset: BuildsetReport }
  | { kind: "worker-lost" | "worker-found" | "worker-missing" | "worker-back"; worker: WorkerReport };

export interface StepReport {
  number: number;
  name: string;
  summary: string;
  /** Not there while it runs. */
  results?: Results;
  startedMs?: number;
  completeMs?: number;
  urls: { name: string; url: string }[];
  logs: { id: number; name: string; lines: number; url: string }[];
}

/** A build as of now, which may be later than the event. */
export interface BuildReport {
  id: number;
  builder: string;
  tags: string[];
  number: number;
  url: string;
  worker: string;
  reason: string;
  summary: string;
  /** Not there while it runs. */
  results?: Results;
  /** How the build of this builder before it ended. */
  previousResults?: Results;
  startedMs: number;
  completeMs?: number;
  requestId: number;
  buildsetId: number;
  scheduler?: string;
  sourceStamps: SourceStamp[];
  changes: Change[];
  properties: Record<string, any>;
  /** Empty in a `BuildsetReport`. */
  steps: StepReport[];
}

export interface BuildsetReport {
  id: number;
  reason: string;
  results: Results;
  submittedMs: number;
  completeMs: number;
  scheduler?: string;
  sourceStamps: SourceStamp[];
  properties: Record<string, any>;
  builds: BuildReport[];
}

export interface RequestReport {
  id: number;
  builder: string;
  buildsetId: number;
  url: string;
  reason: string;
  submittedMs: number;
  scheduler?: string;
  sourceStamps: SourceStamp[];
  properties: Record<string, any>;
}

export interface WorkerReport {
  name: string;
  url: string;
  builders: string[];
  /** What it says of itself. */
  info: Record<string, string>;
  lastSeenMs?: number;
}
