// A Toolpost plugin with the step type `size-limit`: fails when what was built has grown too large.

import { ConfigError, definePlugin, failure, success, warnings } from "toolpost-sdk";

const UNITS = { B: 1, kB: 1_000, MB: 1_000_000, GB: 1_000_000_000, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** From this share of its limit on, a size is worth a look. */
const NEARLY_FULL = 0.95;

/** Bytes of a text such as `1.5 MB`. */
export function parseSize(text, field) {
  const match = /^(\d+(?:\.\d+)?)\s*([kKMG]?i?B)$/.exec(text.trim());
  const unit = match && UNITS[match[2]];
  if (!unit) throw new ConfigError(field, `\`${text}\` is no size; write it like \`250 kB\` or \`1.5 MiB\``);
  return Math.round(Number(match[1]) * unit);
}

/** A number of bytes for people: three digits and a unit. */
export function formatSize(bytes) {
  const [unit, factor] = Object.entries({ GB: 1e9, MB: 1e6, kB: 1e3 }).find(([, size]) => bytes >= size) ?? ["B", 1];
  return `${Number((bytes / factor).toPrecision(3))} ${unit}`;
}

/** Measures one pattern. */
function measure({ files, at_most: atMost }, index, ctx) {
  const limit = parseSize(atMost, `limits[${index}].at_most`);
  const sizes = ctx.files
    .glob(files)
    .map((path) => ({ path, ...ctx.files.stat(path) }))
    .filter((stat) => stat.kind === "file");
  const bytes = sizes.reduce((sum, { size }) => sum + size, 0);
  return { files, limit, bytes, sizes, isMissing: sizes.length === 0 };
}

/** A table of all that was measured, largest files first. */
function writeReport(measured, ctx) {
  const log = ctx.textLog("sizes");
  for (const { files, limit, bytes, sizes } of measured) {
    log.line(`${files}: ${formatSize(bytes)} of ${formatSize(limit)}`);
    for (const { path, size } of sizes.sort((one, other) => other.size - one.size)) {
      log.line(`  ${formatSize(size).padStart(8)}  ${path}`);
    }
  }
  log.finish();
}

function recordSizes(measured, ctx) {
  const results = ctx.testResults("sizes", "binary_size", "B");
  for (const { files, bytes } of measured) results.add({ name: files, value: bytes });
  results.complete();
  ctx.setProperty("sizes", Object.fromEntries(measured.map(({ files, bytes }) => [files, bytes])));
}

export default definePlugin({
  name: "size-limit",
  version: "0.1.0",
  description: "Keeps what is built small",
  steps: {
    "size-limit": {
      summary: "Fails when files that were built are larger than they may be.",
      parameters: {
        type: "object",
        properties: {
          limits: {
            type: "array",
            minItems: 1,
            description: "What to measure.",
            items: {
              type: "object",
              properties: {
                files: { type: "string", description: "The files, as a pattern; their sizes are added up." },
                at_most: { type: "string", description: "How large they may be: `250 kB`, `1.5 MiB`." },
              },
              required: ["files", "at_most"],
              additionalProperties: false,
            },
          },
        },
        required: ["limits"],
        additionalProperties: false,
      },

      run({ limits }, ctx) {
        const measured = limits.map((limit, index) => measure(limit, index, ctx));
        writeReport(measured, ctx);
        recordSizes(measured, ctx);

        const missing = measured.filter(({ isMissing }) => isMissing);
        if (missing.length > 0) return failure(`nothing is called ${missing.map(({ files }) => files).join(", ")}`);
        const say = ({ files, bytes, limit }) => `${files} ${formatSize(bytes)} of ${formatSize(limit)}`;
        const tooLarge = measured.filter(({ bytes, limit }) => bytes > limit);
        if (tooLarge.length > 0) return failure(`too large: ${tooLarge.map(say).join(", ")}`);
        const full = measured.filter(({ bytes, limit }) => bytes >= limit * NEARLY_FULL);
        if (full.length > 0) return warnings(`nearly too large: ${full.map(say).join(", ")}`);
        return success(measured.map(say).join(", "));
      },
    },
  },
});
