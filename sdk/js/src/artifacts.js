// Files that are kept with a build when the worker's directory is gone.

export class Artifacts {
  #host;

  constructor(host) {
    this.#host = host;
  }

  uploadFile(path, name) {
    return this.#host.uploadFile(path, name);
  }

  uploadDirectory(path, name = "") {
    return this.#host.uploadDirectory(path, name);
  }

  download(name, path, build = undefined) {
    return this.#host.download(build, name, path);
  }

  find(prefix = "", build = undefined) {
    return this.#host.findArtifacts(build, prefix);
  }
}
