// Makes a component of a module: node componentize.mjs ENTRY BUNDLE WIT WORLD OUTPUT [FEATURE_TO_LEAVE_OUT...]
import { writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";
import { build } from "esbuild";

const [entry, bundle, witPath, worldName, output, ...disableFeatures] = process.argv.slice(2);
// The engine in the component loads no packages, so all that the plugin uses becomes one file.
await build({
  entryPoints: [entry],
  outfile: bundle,
  bundle: true,
  format: "esm",
  platform: "neutral",
  target: "es2022",
  mainFields: ["module", "main"],
  external: ["toolpost:*"],
  logLevel: "warning",
});
const { component } = await componentize({ sourcePath: bundle, witPath, worldName, disableFeatures });
await writeFile(output, component);
