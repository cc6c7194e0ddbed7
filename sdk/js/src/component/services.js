// What steps and reporters may call.

import { compareAndSet, get, keys, set } from "toolpost:plugin/key-value@1.0.0";
import { send } from "toolpost:plugin/mail@1.0.0";
import { hmacSha256, placeholder } from "toolpost:plugin/secrets@1.0.0";
import { render } from "toolpost:plugin/templates@1.0.0";

import { ConfigError, PermanentError, RetryableError } from "../errors.js";
import { imported } from "./failures.js";
import { Operator } from "./operator.js";

export class Services extends Operator {
  placeholder(secret) {
    return imported(() => placeholder(secret));
  }

  hmacSha256(secret, data) {
    return imported(() => hmacSha256(secret, data));
  }

  value(key) {
    return imported(() => get(key)) ?? undefined;
  }

  setValue(key, value) {
    imported(() => set(key, value));
  }

  compareAndSet(key, expected, value) {
    return imported(() => compareAndSet(key, expected, value));
  }

  keys(prefix) {
    return imported(() => keys(prefix));
  }

  render(template, values) {
    return imported(() => render(template, JSON.stringify(values)));
  }

  sendMail(mail, key) {
    imported(() => send({ cc: [], bcc: [], headers: [], attachments: [], ...mail }, key));
  }

  async fetch(resource, init) {
    if (typeof globalThis.fetch !== "function") {
      throw new PermanentError("this plugin asks for no HTTP host: name it in its `wants`");
    }
    try {
      return await globalThis.fetch(resource, init);
    } catch (error) {
      const reason = String(error?.message ?? error);
      // So the host begins the text of an error that only the operator can do something about.
      const text = `${init?.method ?? "GET"} ${resource}: ${reason.replace("config: ", "")}`;
      throw reason.includes("config: ") ? new ConfigError("", text) : new RetryableError(text);
    }
  }
}
