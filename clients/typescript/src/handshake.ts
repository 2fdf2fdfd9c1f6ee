/** Reads what arrives before the first request; it comes from another program and is checked field by field. */

import { InvalidMessage } from "./errors.js";
import { isCount, isRecord } from "./plain.js";
import type { ErrorBody } from "./types/errors.js";
import type { Bye, ConnectionFile, ReadyLine, Welcome } from "./types/handshake.js";
import { LIMITS } from "./wire/limits.js";

/** Throws InvalidMessage. */
export function readWelcome(body: unknown): Welcome {
  const fields = new Fields("welcome", body);
  return {
    protocol: fields.count("protocol"),
    boot_id: fields.text("boot_id"),
    version: fields.text("version"),
    capabilities: fields.texts("capabilities"),
    limits: readLimits(fields.value("limits")),
    methods: fields.texts("methods"),
  };
}

/** Throws InvalidMessage. */
export function readBye(body: unknown): Bye {
  const fields = new Fields("bye", body);
  return { code: fields.text("code"), message: fields.text("message") };
}

/** Throws InvalidMessage. */
export function readReadyLine(body: unknown): ReadyLine {
  const fields = new Fields("the ready line", body);
  return {
    ready: fields.count("ready"),
    endpoint: fields.text("endpoint"),
    server_key: fields.text("server_key"),
    protocol: fields.count("protocol"),
    version: fields.text("version"),
    boot_id: fields.text("boot_id"),
    pid: fields.count("pid"),
  };
}

/** Throws InvalidMessage. */
export function readConnectionFile(body: unknown): ConnectionFile {
  const fields = new Fields("the connection file", body);
  return {
    endpoint: fields.text("endpoint"),
    server_key: fields.text("server_key"),
    client_key: fields.text("client_key"),
    client_secret: fields.text("client_secret"),
    boot_id: fields.text("boot_id"),
    pid: fields.count("pid"),
    protocol: fields.count("protocol"),
    version: fields.text("version"),
    app_id: fields.text("app_id"),
  };
}

/** Throws InvalidMessage. */
export function readErrorBody(body: unknown): ErrorBody {
  const fields = new Fields("an error", body);
  const error: ErrorBody = { code: fields.text("code"), message: fields.text("message") };
  const data = fields.value("data") ?? undefined;
  if (isRecord(data)) error.data = data;
  if (fields.value("retryable") === true) error.retryable = true;
  return error;
}

function readLimits(body: unknown): typeof LIMITS {
  const fields = new Fields("welcome.limits", body);
  const limits = { ...LIMITS };
  for (const name of Object.keys(LIMITS) as (keyof typeof LIMITS)[]) {
    // An older engine may know fewer limits.
    if (fields.value(name) !== undefined) limits[name] = fields.count(name);
  }
  return limits;
}

class Fields {
  readonly #what: string;
  readonly #map: Record<string, unknown>;

  constructor(what: string, body: unknown) {
    if (!isRecord(body)) throw new InvalidMessage(`${what} is no map`);
    this.#what = what;
    this.#map = body;
  }

  value(name: string): unknown {
    return this.#map[name];
  }

  text(name: string): string {
    const value = this.#map[name];
    if (typeof value !== "string") throw this.#wrong(name, "a string");
    return value;
  }

  texts(name: string): string[] {
    const value = this.#map[name];
    if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) {
      throw this.#wrong(name, "a list of strings");
    }
    return value;
  }

  count(name: string): number {
    const value = this.#map[name];
    if (!isCount(value)) throw this.#wrong(name, "an unsigned integer");
    return value;
  }

  #wrong(name: string, expected: string): InvalidMessage {
    return new InvalidMessage(`${this.#what}: \`${name}\` is not ${expected}`);
  }
}
