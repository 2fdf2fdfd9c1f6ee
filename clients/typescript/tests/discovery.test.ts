/** Which connection file is used. */

import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";

import { doorOf, findConnection, processLives, runtimeFolder } from "../src/discovery.js";
import { rejection } from "./support/deadline.js";

let folder: string;
let deadPid: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "llm-sidecar-"));
  deadPid = spawnSync(process.execPath, ["-e", ""]).pid;
  return () => {
    rmSync(folder, { recursive: true });
  };
});

function write(name: string, { pid = process.pid, age = 0, mode = 0o600 } = {}): string {
  const connection = {
    endpoint: `tcp://127.0.0.1:1/${name}`,
    server_key: "s".repeat(40),
    client_key: "c".repeat(40),
    client_secret: "very-secret",
    boot_id: name,
    pid,
    protocol: 1,
    version: "1",
    app_id: "debug",
  };
  const path = join(folder, `${name}.json`);
  writeFileSync(path, JSON.stringify(connection));
  chmodSync(path, mode);
  utimesSync(path, 1_000_000 - age, 1_000_000 - age);
  return path;
}

test("the newest whose process lives", async () => {
  write("older", { age: 100 });
  write("newer", { age: 50 });
  write("dead", { pid: deadPid });
  writeFileSync(join(folder, "noise.json"), "{", { mode: 0o600 });
  mkdirSync(join(folder, "folder.json"));
  expect((await findConnection(undefined, folder)).boot_id).toBe("newer");
});

test("none is explained", async () => {
  write("dead", { pid: deadPid });
  const error = await rejection(findConnection(undefined, folder));
  expect(error).toMatchObject({ code: "not_found" });
  expect(String(error)).toContain("sidecar --socket");
  expect(await rejection(findConnection(undefined, join(folder, "missing")))).toMatchObject({
    code: "not_found",
  });
});

test("a named file", async () => {
  const door = doorOf(await findConnection(write("mine")));
  expect(door.endpoint).toBe("tcp://127.0.0.1:1/mine");
  expect(door.clientSecret).toBe("very-secret");
  await expect(findConnection(join(folder, "missing.json"))).rejects.toThrow("cannot be read");
});

test.skipIf(process.platform === "win32")("a file open to others is not used", async () => {
  const path = write("open", { mode: 0o644 });
  await expect(findConnection(path)).rejects.toThrow("open to other users");
  await expect(findConnection(undefined, folder)).rejects.toThrow("no running engine");
});

test("a file that is none", async () => {
  const path = join(folder, "x.json");
  writeFileSync(path, "[]", { mode: 0o600 });
  await expect(findConnection(path)).rejects.toThrow("no connection file");
});

test("whether a process lives", () => {
  expect(processLives(process.pid)).toBe(true);
  expect(processLives(deadPid)).toBe(false);
});

test.each([
  ["linux", { XDG_RUNTIME_DIR: "/run/user/7" }, /^\/run\/user\/7\/llm-sidecar$/],
  ["linux", { XDG_CACHE_HOME: "/cache" }, /^\/cache\/llm-sidecar\/run$/],
  ["linux", {}, /\/\.cache\/llm-sidecar\/run$/],
  ["darwin", {}, /\/Library\/Caches\/TemporaryItems\/llm-sidecar$/],
] as const)("the runtime folder on %s with %j", (platform, environment, folder) => {
  expect(runtimeFolder(platform, environment)).toMatch(folder);
});
