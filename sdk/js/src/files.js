// Files on the worker.

import { join } from "./commands.js";
import { FileError, PermanentError } from "./errors.js";

/** What is asked for at a time. */
const READ_BYTES = 256 * 1024;
/** What the host takes in one call. */
const WRITE_BYTES = 4 * 1024 * 1024;
/** What `read` and `readText` take unless told otherwise. */
const READ_BYTES_MAX = 16 * 1024 * 1024;

export class Files {
  #host;

  constructor(host) {
    this.#host = host;
  }

  *chunks(path) {
    let offset = 0;
    for (;;) {
      const piece = this.#host.readFile(path, offset, READ_BYTES);
      if (piece.length > 0) yield piece;
      if (piece.length < READ_BYTES) return;
      offset += piece.length;
    }
  }

  *lines(path) {
    const decoder = new TextDecoder();
    let rest = "";
    for (const piece of this.chunks(path)) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
      rest = lines.pop();
      yield* lines;
    }
    rest += decoder.decode();
    if (rest) yield rest;
  }

  read(path, bytesMax = READ_BYTES_MAX) {
    const pieces = [];
    let length = 0;
    for (const piece of this.chunks(path)) {
      length += piece.length;
      if (length > bytesMax) throw new PermanentError(`\`${path}\` has more than ${bytesMax} bytes`);
      pieces.push(piece);
    }
    return join(pieces);
  }

  readText(path, bytesMax = READ_BYTES_MAX) {
    return new TextDecoder().decode(this.read(path, bytesMax));
  }

  write(path, data) {
    this.#write(path, data, false);
  }

  append(path, data) {
    this.#write(path, data, true);
  }

  #write(path, data, append) {
    const bytes = toBytes(data);
    this.#host.writeFile(path, bytes.subarray(0, WRITE_BYTES), append);
    for (let start = WRITE_BYTES; start < bytes.length; start += WRITE_BYTES) {
      this.#host.writeFile(path, bytes.subarray(start, start + WRITE_BYTES), true);
    }
  }

  stat(path) {
    return this.#host.stat(path);
  }

  exists(path) {
    try {
      this.stat(path);
      return true;
    } catch (error) {
      if (error instanceof FileError && error.kind === "not-found") return false;
      throw error;
    }
  }

  glob(pattern) {
    return this.#host.glob(pattern);
  }

  mkdir(path) {
    this.#host.mkdir(path);
  }

  remove(path) {
    this.#host.remove(path, false);
  }

  removeAll(path) {
    this.#host.remove(path, true);
  }
}

/** Text as UTF-8, bytes as they are. */
export function toBytes(data) {
  return typeof data === "string" ? new TextEncoder().encode(data) : data;
}
