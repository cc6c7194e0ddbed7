// How a step, and a delivery of a reporter, ends.

export const success = (summary = "") => ({ results: "success", summary });
export const warnings = (summary = "") => ({ results: "warnings", summary });
export const failure = (summary = "") => ({ results: "failure", summary });
export const skipped = (summary = "") => ({ results: "skipped", summary });

export const sent = (text) => ({ kind: "sent", text });
export const nothingToTell = (reason) => ({ kind: "skipped", text: reason });
