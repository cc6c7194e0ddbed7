// Makes plain values of the contract's (numbers of big integers, values of JSON texts, nothing of `null`), and back.

/** Fields that are JSON texts in the records of the contract. */
const JSON_FIELDS = new Set(["properties", "info", "values"]);

export function plain(value) {
  if (typeof value === "bigint") return Number(value);
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return value ?? undefined;
  if (Array.isArray(value)) return value.map(plain);
  const entries = Object.entries(value).map(([name, field]) => {
    return [name, JSON_FIELDS.has(name) && typeof field === "string" ? JSON.parse(field) : plain(field)];
  });
  return Object.fromEntries(entries);
}

/** A source stamp with all that the contract wants. */
export function wholeStamp(stamp) {
  const patch = stamp.patch === undefined ? undefined : BigInt(stamp.patch);
  return { codebase: "", repository: "", project: "", ...stamp, patch };
}
