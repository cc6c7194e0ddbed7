// Commands that answer from a script.

import { Exit } from "../commands.js";
import { RetryableError } from "../errors.js";
import { toBytes } from "../files.js";

/** Output comes in pieces of this size, so that a plugin that takes pieces for lines fails its test. */
const PIECE_BYTES = 7;

export class MockCommand {
  constructor(code = 0, { end = "code", elapsedMs = 1_000, notStarted, workerLost } = {}) {
    Object.assign(this, { code, end, elapsedMs, notStarted, workerLost, output: [], files: [] });
  }

  stdout(data) {
    this.output.push({ source: "stdout", data: toBytes(data) });
    return this;
  }

  stderr(data) {
    this.output.push({ source: "stderr", data: toBytes(data) });
    return this;
  }

  writes(path, content) {
    this.files.push([path, content]);
    return this;
  }
}

/** A scripted command that a step has started. */
export class StartedCommand {
  #answer;
  #onInterrupt;
  #pieces;
  #truncated;
  #interrupted = false;
  #ended = false;

  constructor(answer, captureBytes, onInterrupt) {
    this.#answer = answer;
    this.#onInterrupt = onInterrupt;
    [this.#pieces, this.#truncated] = captured(answer.output, captureBytes ?? Infinity);
  }

  read() {
    this.#ended ||= this.#pieces.length === 0;
    return this.#pieces.shift();
  }

  wait() {
    this.#ended = true;
    this.#pieces = [];
    const { code, end, elapsedMs, workerLost } = this.#answer;
    if (workerLost !== undefined) throw new RetryableError(`the worker was lost: ${workerLost}`);
    if (this.#interrupted) return new Exit("interrupted", undefined, elapsedMs, this.#truncated);
    return new Exit(end, end === "code" || end === "signal" ? code : undefined, elapsedMs, this.#truncated);
  }

  interrupt() {
    if (this.#ended || this.#interrupted) return;
    this.#interrupted = true;
    this.#onInterrupt();
  }

  close() {
    this.interrupt();
  }
}

/** The output that the step can read, in pieces, and whether there was more. */
function captured(output, bytesMax) {
  const pieces = [];
  let room = bytesMax;
  for (const { source, data } of output) {
    for (let start = 0; start < data.length; start += PIECE_BYTES) {
      const piece = data.subarray(start, start + PIECE_BYTES);
      const kept = piece.subarray(0, room);
      room -= kept.length;
      if (kept.length > 0) pieces.push({ source, data: kept });
      if (kept.length < piece.length) return [pieces, true];
    }
  }
  return [pieces, false];
}
