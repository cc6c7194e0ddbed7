// Results of single tests, measurements and findings.

/** Results are collected up to this number, because every call of the host has a price. */
const RESULTS_A_CALL = 1_000;

export class TestResults {
  #results;
  #waiting = [];

  constructor(results) {
    this.#results = results;
  }

  add(...results) {
    for (const result of results) {
      this.#waiting.push(result);
      if (this.#waiting.length === RESULTS_A_CALL) this.#flush();
    }
  }

  complete({ passed, failed } = {}) {
    this.#flush();
    this.#results.complete(passed, failed);
  }

  #flush() {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length > 0) this.#results.add(waiting);
  }
}
