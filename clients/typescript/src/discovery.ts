/** Connection files of engines with a debug door: `sidecar --socket`, or the start option debug_socket. */

import { open, readdir, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

import type { Door } from "./channel.js";
import { EngineError, StartFailed } from "./errors.js";
import { readConnectionFile } from "./handshake.js";
import type { Environment } from "./sidecar-process.js";
import type { ConnectionFile } from "./types/handshake.js";

const FILE_BYTES = 16 * 2 ** 10;

/** The connection file at `path`, or the newest in the folder whose process lives. Throws StartFailed. */
export async function findConnection(path?: string, folder = runtimeFolder()): Promise<ConnectionFile> {
  if (path !== undefined) return await loadConnectionFile(path);
  for (const candidate of await newestFirst(folder)) {
    try {
      const connection = await loadConnectionFile(candidate);
      if (processLives(connection.pid)) return connection;
    } catch (error) {
      if (!(error instanceof StartFailed)) throw error;
    }
  }
  const message =
    `no running engine has left a connection file in ${folder}; start one with \`sidecar --socket\`, ` +
    "or an application's with its start option debug_socket";
  throw new StartFailed(message, { code: "not_found" });
}

/** Where it leads, and the keys. */
export function doorOf(connection: ConnectionFile): Door {
  return {
    endpoint: connection.endpoint,
    serverKey: connection.server_key,
    clientKey: connection.client_key,
    clientSecret: connection.client_secret,
  };
}

/** Whether a process with this id exists. */
export function processLives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** The folder of this user alone that sidecars leave their connection files in. */
export function runtimeFolder(platform = process.platform, environment: Environment = process.env): string {
  const home = homedir();
  if (platform === "win32") {
    return join(environment["LOCALAPPDATA"] ?? join(home, "AppData", "Local"), "Temp", "llm-sidecar");
  }
  const runtime = environment["XDG_RUNTIME_DIR"];
  if (runtime !== undefined && runtime !== "") return join(runtime, "llm-sidecar");
  if (platform === "darwin") return join(home, "Library", "Caches", "TemporaryItems", "llm-sidecar");
  return join(environment["XDG_CACHE_HOME"] ?? join(home, ".cache"), "llm-sidecar", "run");
}

async function loadConnectionFile(path: string): Promise<ConnectionFile> {
  const content = await readPrivateFile(path);
  try {
    return readConnectionFile(JSON.parse(content));
  } catch (cause) {
    const problem =
      cause instanceof EngineError || cause instanceof SyntaxError ? cause.message : String(cause);
    throw new StartFailed(`${path} is no connection file: ${problem}`, { cause });
  }
}

async function readPrivateFile(path: string): Promise<string> {
  try {
    await using file = await open(path, "r");
    const status = await file.stat();
    if (process.platform !== "win32" && (status.uid !== process.getuid?.() || (status.mode & 0o077) !== 0)) {
      throw new StartFailed(
        `${path} is open to other users (mode and owner must be 0600 and yours); not used`,
      );
    }
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(FILE_BYTES) });
    return buffer.toString("utf8", 0, bytesRead);
  } catch (cause) {
    if (cause instanceof StartFailed) throw cause;
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new StartFailed(`the connection file ${path} cannot be read: ${problem}`, { cause });
  }
}

async function newestFirst(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  const found: { path: string; time: number }[] = [];
  for (const name of names.filter((entry) => entry.endsWith(".json"))) {
    const path = join(folder, name);
    const status = await stat(path).catch(() => undefined);
    if (status !== undefined) found.push({ path, time: status.mtimeMs });
  }
  return found.sort((a, b) => b.time - a.time).map(({ path }) => path);
}
