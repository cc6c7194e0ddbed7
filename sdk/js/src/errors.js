// Why something could not be done, by what helps against it.

/** The plugin could not do its work. A test that fails is no error but an outcome. */
export class PluginError extends Error {
  constructor(message) {
    super(message);
    this.name = new.target.name;
  }
}

export class RetryableError extends PluginError {}

export class PermanentError extends PluginError {}

export class ConfigError extends PluginError {
  constructor(field, message) {
    super(field ? `parameter \`${field}\`: ${message}` : message);
    this.field = field;
  }
}

const FILE_ERRORS = {
  "not-found": "it does not exist",
  "wrong-kind": "it is a directory where a file is needed, or the other way round",
  "not-empty": "the directory is not empty",
  outside: "it leads outside the directory of the build",
  denied: "the worker's system does not allow it",
};

export class FileError extends PermanentError {
  constructor(action, path, kind, reason = undefined) {
    super(`could not ${action} \`${path}\`: ${reason ?? FILE_ERRORS[kind]}`);
    this.action = action;
    this.path = path;
    this.kind = kind;
  }
}
