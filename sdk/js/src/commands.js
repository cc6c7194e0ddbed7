// Runs programs on the worker.

/** What `Command.output` keeps unless told otherwise. */
const OUTPUT_BYTES_MAX = 1024 * 1024;
/** What `Running.lines` keeps of one line. */
const LINE_BYTES_MAX = 64 * 1024;

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

const ENDS = {
  code: "exit code",
  signal: "ended by signal",
  "idle-timeout": "ended because it was silent for too long",
  "total-timeout": "ended because it ran for too long",
  interrupted: "interrupted",
};

/** How a command ended. */
export class Exit {
  constructor(end, number = undefined, elapsedMs = 0, truncated = false) {
    this.end = end;
    this.number = number;
    this.elapsedMs = elapsedMs;
    this.truncated = truncated;
  }

  get code() {
    return this.end === "code" ? this.number : undefined;
  }

  get isSuccess() {
    return this.code === 0;
  }

  get results() {
    if (this.isSuccess) return "success";
    return this.end === "interrupted" ? "cancelled" : "failure";
  }

  toString() {
    return this.number === undefined ? ENDS[this.end] : `${ENDS[this.end]} ${this.number}`;
  }
}

/** A command that has ended, with what it printed. */
class Output {
  constructor(exit, stdout, stderr) {
    this.exit = exit;
    this.stdout = stdout;
    this.stderr = stderr;
  }

  get text() {
    return new TextDecoder().decode(this.stdout).trim();
  }
}

/** A command that is not started yet. */
export class Command {
  #host;
  #spec;

  constructor(host, spec) {
    this.#host = host;
    this.#spec = spec;
  }

  run() {
    const running = this.#begin(0);
    try {
      return running.wait();
    } finally {
      running.close();
    }
  }

  output(bytesMax = OUTPUT_BYTES_MAX) {
    const running = this.#begin(bytesMax);
    try {
      const printed = { stdout: [], stderr: [] };
      for (const { source, data } of running.chunks()) printed[source].push(data);
      return new Output(running.wait(), join(printed.stdout), join(printed.stderr));
    } finally {
      running.close();
    }
  }

  start() {
    return this.#begin(undefined);
  }

  #begin(captureBytes) {
    return new Running(this.#host.startCommand({ ...this.#spec, captureBytes }));
  }
}

/** A command that runs. */
class Running {
  #command;

  constructor(command) {
    this.#command = command;
  }

  *lines() {
    const partial = { stdout: new PartialLine("stdout"), stderr: new PartialLine("stderr") };
    for (const { source, data } of this.chunks()) yield* partial[source].feed(data);
    for (const rest of Object.values(partial)) yield* rest.end();
  }

  *chunks() {
    for (let chunk = this.#command.read(); chunk; chunk = this.#command.read()) yield chunk;
  }

  wait() {
    return this.#command.wait();
  }

  interrupt() {
    this.#command.interrupt();
  }

  close() {
    this.#command.close();
  }
}

/** The beginning of a line of one stream, until its end comes. */
class PartialLine {
  #source;
  #pieces = [];
  #length = 0;
  #truncated = false;

  constructor(source) {
    this.#source = source;
  }

  *feed(data) {
    let start = 0;
    for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE, start)) {
      this.#push(data.subarray(start, end));
      yield this.#take();
      start = end + 1;
    }
    this.#push(data.subarray(start));
  }

  *end() {
    if (this.#length > 0) yield this.#take();
  }

  #push(piece) {
    const kept = piece.subarray(0, LINE_BYTES_MAX - this.#length);
    this.#truncated ||= kept.length < piece.length;
    // A copy, because the piece is a view of something that may be reused.
    if (kept.length > 0) this.#pieces.push(kept.slice());
    this.#length += kept.length;
  }

  #take() {
    let bytes = join(this.#pieces);
    if (bytes.at(-1) === CARRIAGE_RETURN) bytes = bytes.subarray(0, -1);
    const line = { source: this.#source, text: new TextDecoder().decode(bytes), truncated: this.#truncated };
    this.#pieces = [];
    this.#length = 0;
    this.#truncated = false;
    return line;
  }
}

/** One array of the bytes of several. */
export function join(pieces) {
  const joined = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    joined.set(piece, offset);
    offset += piece.length;
  }
  return joined;
}
