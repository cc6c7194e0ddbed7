// Carries errors over the border of the component, in both directions.

import { ConfigError, PermanentError, PluginError, RetryableError } from "../errors.js";

const IMPORTED = {
  retryable: (text) => new RetryableError(text),
  permanent: (text) => new PermanentError(text),
  config: (text) => new ConfigError("", text),
};

/** Calls the host, and throws its errors as those of the SDK. */
export function imported(call) {
  try {
    return call();
  } catch (failure) {
    const { tag, val } = failure?.payload ?? {};
    throw Object.hasOwn(IMPORTED, tag ?? "") ? IMPORTED[tag](val) : failure;
  }
}

/** Runs an export, and throws errors as the contract has them. `tell` gets the stack of an error that is a bug. */
export async function exported(tell, work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PluginError)) tell(`${error}\n${error?.stack ?? ""}`);
    throw contractError(error);
  }
}

function contractError(error) {
  if (error instanceof RetryableError) return { tag: "retryable", val: error.message };
  if (error instanceof ConfigError) return { tag: "config", val: error.message };
  return { tag: "permanent", val: error instanceof PluginError ? error.message : String(error) };
}
