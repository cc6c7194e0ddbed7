/** A host for tests: commands answer from a script, files are in memory, and what the plugin does can be looked at. */

import type {
  Action,
  BuildInfo,
  BuildRequest,
  Change,
  Context,
  End,
  Mail,
  Outcome,
  Plugin,
  PluginError,
  ReportEvent,
  ReportOutcome,
  Results,
  SchedulerEvent,
  SourceStamp,
  TestResult,
} from "./index.js";

/** What a command does when a step runs it: it ends by itself with a code, unless `end` says otherwise. */
export class MockCommand {
  constructor(
    code?: number,
    options?: {
      end?: End;
      elapsedMs?: number;
      /** It cannot be started, for this reason. */
      notStarted?: PluginError;
      /** The worker is lost while it runs, for this reason. */
      workerLost?: string;
    },
  );
  /** Prints this to standard output, after what it was told to print before. */
  stdout(data: Uint8Array | string): this;
  /** Prints this to standard error, after what it was told to print before. */
  stderr(data: Uint8Array | string): this;
  /** Leaves this file behind. */
  writes(path: string, content: Uint8Array | string): this;
}

/** A host whose commands, files, properties and answers a test has written down. */
export class MockHost {
  /** Answers a command with this. When one has several answers, each is given once, in this order. */
  command(line: string | string[], answer: MockCommand): this;
  /** Puts a file into the working directory. */
  file(path: string, content: Uint8Array | string): this;
  /** Gives the build a property. */
  withProperty(name: string, value: unknown): this;
  /** Grants a secret. The plugin sees a placeholder of it. */
  withSecret(name: string, value?: string): this;
  /** Answers an HTTP request with this. */
  answer(method: string, url: string, response: Response): this;
  /** Gives a build that is reported a log. */
  buildLog(number: number, lines: Iterable<string>): this;
  /** Renders templates in this way. A template language is not part of the mock host. */
  renders(renderer: (template: string, values: Record<string, unknown>) => string): this;

  /** Runs a step with these parameters, as the real host does. */
  run(plugin: Plugin, step: string, parameters?: Record<string, unknown>): Promise<Outcome>;
  /** Gives a scheduler an event. State goes in and comes out as JSON has it, as on the real host. */
  handle(
    plugin: Plugin,
    scheduler: string,
    event: SchedulerEvent,
    options?: { parameters?: Record<string, unknown>; state?: any; nowMs?: number },
  ): Promise<{ state: any; actions: Action[] }>;
  /** Gives a reporter something to deliver. */
  report(
    plugin: Plugin,
    reporter: string,
    event: ReportEvent,
    options?: { parameters?: Record<string, unknown>; key?: string; attempt?: number; atMs?: number },
  ): Promise<ReportOutcome>;
  /** A context on this host, for tests of less than a step. */
  readonly context: Context;

  /** The content of a log of the step: of one stream, or of all in the order in which they were written. */
  log(name: string, stream?: "stdout" | "stderr" | "header"): string;
  /** The names of the step's logs, in order. */
  readonly logNames: string[];
  /** The value of a property of the build. */
  propertyValue(name: string): any;
  /** The content of a file on the worker, as text. */
  fileContent(path: string): string | undefined;
  /** The commands that the step has started. */
  readonly commands: { line: string | string[]; env: Record<string, string | null>; workdir?: string; log?: string }[];
  /** How many commands were interrupted before their end. */
  readonly interrupted: number;
  /** The texts that the step has had beside its name while it ran. */
  readonly summaries: string[];
  /** How far the step has said it was. */
  readonly progress: { done: number; total: number; unit: string }[];
  /** The links of the step. */
  readonly urls: { name: string; url: string }[];
  /** What the plugin has written to the log of the master. */
  readonly operatorLog: { level: "debug" | "info" | "warn" | "error"; message: string }[];
  /** The mails that were sent. */
  readonly mails: { key: string; mail: Mail }[];
  /** The HTTP requests that were made. */
  readonly requests: { method: string; url: string; headers: HeadersInit; body: BodyInit | undefined }[];
  /** Lets builds that are asked for end like this, by the names of their builders; otherwise they succeed. */
  builds(results: Record<string, Results>): this;
  /** The builds that were asked for. */
  readonly triggered: BuildRequest[];
  /** The sets of test results that were made. */
  readonly testSets: {
    description: string;
    category: string;
    valueUnit: string;
    results: TestResult[];
    isComplete: boolean;
    passed?: number;
    failed?: number;
  }[];
  /** The files that are kept with the build. */
  readonly artifacts: Map<string, Uint8Array>;
  /** The files that are kept with other builds, by `builder/number`. */
  readonly otherArtifacts: Map<string, Map<string, Uint8Array>>;
  /** The changes that the build was made for. */
  buildChanges: Change[];
  /** The sources of the build. */
  sourceStamps: SourceStamp[];
  /** Whether the step is to stop. */
  cancelled: boolean;
  /** The build that the step belongs to. */
  build(): BuildInfo;
}
