// Writes logs of the step.

import { join } from "./commands.js";
import { toBytes } from "./files.js";

/** Small writes are collected up to this size, because every call of the host has a price. */
const BUFFER_BYTES = 32 * 1024;

export class StepLog {
  #log;
  #stream = "stdout";
  #pieces = [];
  #length = 0;

  constructor(log) {
    this.#log = log;
  }

  line(text = "") {
    this.append("stdout", `${text}\n`);
  }

  append(stream, data) {
    if (stream !== this.#stream) {
      this.flush();
      this.#stream = stream;
    }
    const bytes = toBytes(data);
    this.#pieces.push(bytes);
    this.#length += bytes.length;
    if (this.#length >= BUFFER_BYTES) this.flush();
  }

  flush() {
    const bytes = join(this.#pieces);
    // Taken out first, so that a failure is told once and not at every later write.
    this.#pieces = [];
    this.#length = 0;
    for (let start = 0; start < bytes.length; start += BUFFER_BYTES) {
      this.#log.append(this.#stream, bytes.subarray(start, start + BUFFER_BYTES));
    }
  }

  finish() {
    this.flush();
    this.#log.finish();
  }
}
