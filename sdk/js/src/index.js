// Write plugins for the Toolpost build master. The documentation is in index.d.ts.

export { Exit } from "./commands.js";
export { ConfigError, FileError, PermanentError, PluginError, RetryableError } from "./errors.js";
export { failure, nothingToTell, sent, skipped, success, warnings } from "./outcome.js";
export { definePlugin } from "./plugin.js";
