// The exports and imports of a plugin with steps.

import * as artifacts from "toolpost:plugin/artifacts@1.0.0";
import * as buildData from "toolpost:plugin/build-data@1.0.0";
import { changes, get as getBuild } from "toolpost:plugin/build-info@1.0.0";
import { isCancelled } from "toolpost:plugin/cancellation@1.0.0";
import { RunningCommand } from "toolpost:plugin/commands@1.0.0";
import { all, get as getProperty, set as setProperty } from "toolpost:plugin/properties@1.0.0";
import { StepLog } from "toolpost:plugin/step-logs@1.0.0";
import { addUrl, setProgress, setSummary } from "toolpost:plugin/step-status@1.0.0";
import { TestResultSet } from "toolpost:plugin/test-results@1.0.0";
import { Triggered } from "toolpost:plugin/triggers@1.0.0";
import * as workerFiles from "toolpost:plugin/worker-files@1.0.0";

import { Exit } from "../commands.js";
import { FileError, PluginError, RetryableError } from "../errors.js";
import { toBytes } from "../files.js";
import { plain, wholeStamp } from "./convert.js";
import { exported, imported } from "./failures.js";
import { Services } from "./services.js";

/** `step` of the contract. */
export function stepExport(plugin) {
  return {
    run(typeName, parameters) {
      const host = new StepHost();
      return exported(
        (stack) => host.tellOfABug(stack),
        () => plugin.run(typeName, JSON.parse(parameters), host),
      );
    },
  };
}

class StepHost extends Services {
  /** Shows the author of the plugin where it failed, in a log of the step. */
  tellOfABug(stack) {
    try {
      this.openLog("traceback", "text").append("stdout", toBytes(stack));
    } catch (error) {
      if (!(error instanceof PluginError)) throw error;
      this.writeOperatorLog("error", stack);
    }
  }

  getProperty(name) {
    const property = getProperty(name);
    return property ? readProperty(property) : undefined;
  }

  setProperty(name, value) {
    imported(() => setProperty(name, JSON.stringify(value)));
  }

  properties() {
    return Object.fromEntries(all().map(([name, property]) => [name, readProperty(property)]));
  }

  openLog(name, kind) {
    const log = imported(() => StepLog.open(name, kind));
    return {
      append: (stream, data) => imported(() => log.append(stream, data)),
      finish: () => imported(() => log.finish()),
    };
  }

  startCommand(spec) {
    return new StartedCommand(imported(() => RunningCommand.start(commandSpec(spec))));
  }

  readFile(path, offset, bytesMax) {
    return onFile("read", path, () => workerFiles.read(path, BigInt(offset), bytesMax));
  }

  writeFile(path, data, append) {
    onFile("write", path, () => workerFiles.write(path, data, append ? "append" : "replace"));
  }

  stat(path) {
    return plain(onFile("look at", path, () => workerFiles.stat(path)));
  }

  glob(pattern) {
    return onFile("list", pattern, () => workerFiles.glob(pattern));
  }

  mkdir(path) {
    onFile("make", path, () => workerFiles.mkdir(path));
  }

  remove(path, recursive) {
    onFile("remove", path, () => workerFiles.remove(path, recursive));
  }

  setSummary(text) {
    setSummary(text);
  }

  setProgress(done, total, unit) {
    setProgress(BigInt(done), BigInt(total), unit);
  }

  addUrl(name, url) {
    imported(() => addUrl(name, url));
  }

  build() {
    return plain(getBuild());
  }

  changes() {
    return imported(changes).map(plain);
  }

  buildData(name) {
    return imported(() => buildData.get(name)) ?? undefined;
  }

  setBuildData(name, value, source) {
    imported(() => buildData.set(name, value, source));
  }

  uploadFile(path, name) {
    return plain(imported(() => artifacts.uploadFile(path, name)));
  }

  uploadDirectory(path, name) {
    return plain(imported(() => artifacts.uploadDirectory(path, name)));
  }

  download(build, name, path) {
    return plain(imported(() => artifacts.download(buildOf(build), name, path)));
  }

  findArtifacts(build, prefix) {
    return imported(() => artifacts.find(buildOf(build), prefix)).map(plain);
  }

  testResults(description, category, valueUnit) {
    const results = imported(() => TestResultSet.create(description, category, valueUnit));
    return {
      add: (more) => imported(() => results.add(more.map(testResult))),
      complete: (passed, failed) => imported(() => results.complete(optionalBigInt(passed), optionalBigInt(failed))),
    };
  }

  trigger(request) {
    const triggered = imported(() => Triggered.request(buildRequest(request)));
    return {
      progress: () => plain(imported(() => triggered.progress())),
      wait: () => plain(imported(() => triggered.wait())),
    };
  }

  isCancelled() {
    return isCancelled();
  }
}

class StartedCommand {
  #command;

  constructor(command) {
    this.#command = command;
  }

  read() {
    return this.#command.read() ?? undefined;
  }

  wait() {
    const { status, elapsedMs, truncated } = plain(this.#command.wait());
    if (status.tag === "worker-lost") throw new RetryableError(`the worker was lost: ${status.val}`);
    return new Exit(status.tag, status.val, elapsedMs, truncated);
  }

  interrupt() {
    this.#command.interrupt();
  }

  close() {
    this.#command[Symbol.dispose]();
  }
}

function readProperty({ value, source }) {
  return { value: JSON.parse(value), source };
}

function buildOf(build) {
  return build ? { tag: "other", val: [build.builder, BigInt(build.number)] } : { tag: "this-build" };
}

function testResult({ durationNs, value, ...result }) {
  return { ...result, value: String(value), durationNs: optionalBigInt(durationNs) };
}

function buildRequest({ sources, properties, ...request }) {
  return {
    ...request,
    sources: typeof sources === "string" ? { tag: sources } : { tag: "given", val: sources.map(wholeStamp) },
    properties: Object.entries(properties).map(([name, value]) => [name, JSON.stringify(value)]),
  };
}

function optionalBigInt(value) {
  return value === undefined ? undefined : BigInt(value);
}

function commandSpec({ line, env, captureBytes, idleTimeoutMs, totalTimeoutMs, ...others }) {
  return {
    ...others,
    command: typeof line === "string" ? { tag: "shell", val: line } : { tag: "argv", val: line },
    env: Object.entries(env).map(([name, value]) => [name, value ?? undefined]),
    idleTimeoutMs: optionalBigInt(idleTimeoutMs),
    totalTimeoutMs: optionalBigInt(totalTimeoutMs),
    capture: capture(captureBytes),
  };
}

function capture(bytes) {
  if (bytes === undefined) return { tag: "everything" };
  return bytes === 0 ? { tag: "nothing" } : { tag: "first", val: BigInt(bytes) };
}

/** Throws errors of files on the worker as those of the SDK. */
function onFile(action, path, call) {
  try {
    return call();
  } catch (failure) {
    const { tag, val } = failure?.payload ?? {};
    if (tag === undefined) throw failure;
    if (tag === "worker-lost") throw new RetryableError(`could not ${action} \`${path}\`: the worker was lost: ${val}`);
    throw new FileError(action, path, tag, val);
  }
}
