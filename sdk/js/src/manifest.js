// Says what the plugin in a module is: what the tools need to know before they build it.

import { Plugin } from "./plugin.js";

/** The manifest of the plugin that a module exports as `default`. */
export function manifest(module, file) {
  const plugin = module.default;
  if (!(plugin instanceof Plugin)) throw new TypeError(`${file} has no \`export default definePlugin({ ... })\``);
  return {
    name: plugin.name,
    kinds: plugin.kinds,
    http: plugin.wants.some((want) => want.tag === "http-host"),
  };
}
