// Files in memory, with the rules of the contract for paths.

import { join } from "../commands.js";
import { FileError } from "../errors.js";

const READ_BYTES_MAX = 4 * 1024 * 1024;

export class MockFiles {
  #files = new Map();
  #directories = new Set();

  content(path) {
    return this.#files.get(clean("read", path));
  }

  read(given, offset, limit) {
    const path = clean("read", given);
    const content = this.#files.get(path);
    if (!content) throw new FileError("read", path, this.#isDirectory(path) ? "wrong-kind" : "not-found");
    return content.slice(offset, offset + Math.min(limit, READ_BYTES_MAX));
  }

  write(given, data, append) {
    const path = clean("write", given);
    if (this.#isDirectory(path)) throw new FileError("write", path, "wrong-kind");
    this.#makeParents(path);
    const before = append ? [this.#files.get(path) ?? new Uint8Array()] : [];
    this.#files.set(path, join([...before, data]));
  }

  stat(given) {
    const path = clean("look at", given);
    const content = this.#files.get(path);
    if (content) return { kind: "file", size: content.length, modifiedMs: 0 };
    if (this.#isDirectory(path)) return { kind: "directory", size: 0, modifiedMs: 0 };
    throw new FileError("look at", path, "not-found");
  }

  glob(pattern) {
    const expressions = alternatives(clean("list", pattern)).map(expression);
    return this.#paths()
      .filter((path) => expressions.some((one) => one.test(path)))
      .sort();
  }

  mkdir(given) {
    const path = clean("make", given);
    if (this.#files.has(path)) throw new FileError("make", path, "wrong-kind");
    this.#makeParents(path);
    this.#directories.add(path);
  }

  remove(given, recursive) {
    const path = clean("remove", given);
    if (this.#files.delete(path)) return;
    if (!this.#directories.has(path)) throw new FileError("remove", path, "not-found");
    const below = this.#paths().filter((other) => other.startsWith(`${path}/`));
    if (below.length > 0 && !recursive) throw new FileError("remove", path, "not-empty");
    for (const other of [path, ...below]) {
      this.#files.delete(other);
      this.#directories.delete(other);
    }
  }

  #paths() {
    return [...this.#files.keys(), ...this.#directories];
  }

  #isDirectory(path) {
    return path === "" || this.#directories.has(path);
  }

  #makeParents(path) {
    const parts = path.split("/");
    for (let count = 1; count < parts.length; count += 1) this.#directories.add(parts.slice(0, count).join("/"));
  }
}

/** The path without `.` parts; one that leads out of the working directory is refused. */
function clean(action, path) {
  const parts = [];
  let outside = path.startsWith("/") || path.includes("\0");
  for (const part of path.split("/")) {
    if (part === "..") outside ||= parts.pop() === undefined;
    else if (part !== "" && part !== ".") parts.push(part);
  }
  if (outside) throw new FileError(action, path, "outside");
  return parts.join("/");
}

/** The patterns that one with `{a,b}` stands for. */
function alternatives(pattern) {
  const innermost = /\{([^{}]*)\}/.exec(pattern);
  if (!innermost) {
    if (/[{}]/.test(pattern)) throw new FileError("list", pattern, "other", "a brace has no other half");
    return [pattern];
  }
  const before = pattern.slice(0, innermost.index);
  const after = pattern.slice(innermost.index + innermost[0].length);
  return innermost[1].split(",").flatMap((word) => alternatives(before + word + after));
}

/** A pattern without braces as a regular expression. */
function expression(pattern) {
  const meanings = { "**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]" };
  const meaning = (part) => {
    if (Object.hasOwn(meanings, part)) return meanings[part];
    return part.startsWith("[") ? part.replace("[!", "[^") : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  };
  const parts = pattern.split(/(\*\*\/|\*\*|\*|\?|\[!?\]?[^\]]*\])/);
  return new RegExp(`^${parts.map(meaning).join("")}$`, "s");
}
