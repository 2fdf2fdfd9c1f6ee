/** A real child process: how it is started, refused, watched and ended. */

import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

import { Engine, EngineLost, type Notice, type SpawnOptions, StartFailed } from "../src/index.js";
import { processLives } from "../src/discovery.js";
import { Inbox, rejection, soon } from "./support/deadline.js";
import { assertGone } from "./support/processes.js";

const FAKE = fileURLToPath(new URL("support/fake-sidecar.mjs", import.meta.url));

interface About {
  pid: number;
  environment: Record<string, string>;
  arguments: string[];
}

function spawn(behaviour?: string, options: Partial<SpawnOptions> = {}): Promise<Engine> {
  return Engine.spawn({
    appId: "tests",
    command: [process.execPath, FAKE],
    options: { behaviour },
    ...options,
  });
}

async function about(engine: Engine): Promise<About> {
  return (await engine.call("engine.info", {})) as unknown as About;
}

async function crash(engine: Engine): Promise<EngineLost> {
  const error = await rejection(engine.call("test.crash", {}));
  if (error instanceof EngineLost) return error;
  throw error;
}

test("it is gone at the end of its scope", async () => {
  let pid: number | undefined;
  {
    await using engine = await spawn();
    ({ pid } = engine);
    expect((await about(engine)).pid).toBe(pid);
  }
  await assertGone(pid);
});

test("the environment is scrubbed, and no key leaves in it or in arguments", async () => {
  const environment = { ...process.env, LD_TEST: "x", PYTHONTEST: "x", _PYI_TEST: "x", KEPT: "x" };
  await using engine = await spawn(undefined, { environment });
  const seen = await about(engine);
  expect(seen.environment).toMatchObject({ KEPT: "x" });
  expect(Object.keys(seen.environment).filter((name) => /^(LD_|PYTHON|_PYI_)/.test(name))).toEqual([]);
  expect(seen.arguments).toHaveLength(2);
});

test("a refusal is passed on", async () => {
  expect(await rejection(spawn("refuse"))).toMatchObject({
    code: "invalid_params",
    message: "the engine refused to start: options has a fault",
    data: { parameter: "x" },
  });
});

test.each([
  ["garbage", "Hello, I am not JSON"],
  ["long_line", "the ready line is longer than 4096 bytes"],
  ["other_protocol", "speaks protocol 99, this client 1; install the same release of both"],
])("another first line is explained: %s", async (behaviour, explanation) => {
  const error = await rejection(spawn(behaviour));
  expect(error).toBeInstanceOf(StartFailed);
  expect(String(error)).toContain(explanation);
});

test("a process that says nothing is given up", async () => {
  const error = await rejection(spawn("silent", { handshakeTimeoutMs: 500 }));
  expect(String(error)).toContain("not ready within 0.5 s");
});

test("a process that never welcomes is given up", async () => {
  const error = await rejection(spawn("no_hello", { handshakeTimeoutMs: 2000 }));
  expect(String(error)).toContain("did not answer hello within 2 s");
});

test("a process that ends too early is explained", async () => {
  const error = await rejection(spawn("exit"));
  expect(error).toMatchObject({
    message: "the engine exited with status 7 before it was ready: it went wrong",
    exitCode: 7,
    signal: null,
  });
  expect((error as StartFailed).stderrTail.at(-1)).toBe("it went wrong");
});

test("a program that is not there", async () => {
  const error = await rejection(Engine.spawn({ appId: "tests", command: ["/nowhere/sidecar"] }));
  expect(String(error)).toContain('"/nowhere/sidecar" cannot be started');
});

test("giving up the opening leaves no process", async () => {
  const controller = new AbortController();
  const pids = new Inbox<number>();
  const command = [process.execPath, "-e", "console.error(process.pid); process.stdin.resume()"];
  const onLog = (line: string): void => {
    pids.put(Number(line));
  };
  const opening = rejection(Engine.spawn({ appId: "tests", command, onLog, signal: controller.signal }));
  const pid = await pids.next();
  controller.abort(new Error("changed my mind"));
  expect(String(await opening)).toContain("changed my mind");
  expect(processLives(pid)).toBe(false);
});

test("nothing is started for a signal that is aborted already", async () => {
  await expect(spawn(undefined, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    name: "AbortError",
  });
});

test("stderr is forwarded and its end kept", async () => {
  const lines: string[] = [];
  await using engine = await spawn("flood_stderr", { onLog: (line) => lines.push(line), restart: false });
  const lost = await crash(engine);
  expect(lines[0]).toBe('{"level":"info","message":"hello from stderr"}');
  expect(lines).toHaveLength(20_001);
  expect(lines.at(-1)).toBe("line 19999");
  expect(lost.stderrTail).toEqual(lines.slice(-200));
});

test("a killed engine is reported within a second", async () => {
  await using engine = await spawn(undefined, { restart: false });
  const reader = engine.chat.stream({ messages: [] })[Symbol.asyncIterator]();
  await soon(reader.next());
  process.kill(engine.pid ?? 0, "SIGKILL");
  const began = performance.now();
  const lost = await rejection(reader.next());
  expect(performance.now() - began).toBeLessThan(1000);
  expect(lost).toMatchObject({
    message: "the engine was killed by SIGKILL",
    exitCode: null,
    signal: "SIGKILL",
    mayHaveExecuted: true,
  });
  expect(await rejection(engine.info())).toMatchObject({ code: "engine_lost", mayHaveExecuted: false });
});

test("its children end with it", async () => {
  await using engine = await spawn(undefined, { restart: false });
  const { pid } = (await engine.call("test.spawn_child", {})) as { pid: number };
  await crash(engine);
  await assertGone(pid);
});

test("after a crash later requests meet a new process", async () => {
  const notices: Notice[] = [];
  await using engine = await spawn(undefined, { onNotice: (notice) => notices.push(notice) });
  const { pid } = engine;
  const pending = rejection(engine.chat.stream({ messages: [] }).result());
  await crash(engine);
  expect(await pending).toMatchObject({ mayHaveExecuted: true });
  const seen = await about(engine);
  expect(seen.pid).toBe(engine.pid);
  expect(seen.pid).not.toBe(pid);
  expect(notices.map(({ type }) => type)).toEqual(["crashed", "restarted"]);
});

test("a crash loop ends in a clear stop", async () => {
  const notices: Notice[] = [];
  await using engine = await spawn(undefined, {
    restart: { maxRestarts: 2, withinMs: 600_000 },
    onNotice: (notice) => notices.push(notice),
  });
  for (let round = 0; round < 3; round += 1) await crash(engine);
  const error = await rejection(engine.info());
  expect(String(error)).toContain("after 2 restarts within 600 s it is not started again");
  const types = notices.map(({ type }) => type);
  expect(types.filter((type) => type === "restarted")).toHaveLength(2);
  expect(types.at(-1)).toBe("gave_up");
});

test("closing ends one that does not want to", async () => {
  const engine = await spawn("deaf");
  const { pid } = engine;
  const began = performance.now();
  await engine.close();
  expect(performance.now() - began).toBeLessThan(5000);
  await assertGone(pid);
});

test("aborting is immediate", async () => {
  const engine = await spawn("deaf");
  const { pid } = engine;
  const call = rejection(engine.call("test.wait", {}));
  const began = performance.now();
  await engine.abort();
  expect(performance.now() - began).toBeLessThan(1000);
  await assertGone(pid);
  expect(await call).toBeInstanceOf(EngineLost);
});

test("an engine told to end is not started again", async () => {
  const notices: Notice[] = [];
  await using engine = await spawn(undefined, { onNotice: (notice) => notices.push(notice) });
  const { pid } = engine;
  await engine.shutdown();
  expect(await rejection(engine.info())).toBeInstanceOf(EngineLost);
  await assertGone(pid);
  expect(notices).toEqual([]);
});

test("closing while it is started again", async () => {
  const pids: (number | undefined)[] = [];
  const engine = await spawn();
  pids.push(engine.pid);
  await crash(engine);
  const waiting = rejection(engine.info());
  await engine.close();
  expect(await waiting).toBeInstanceOf(EngineLost);
  await assertGone(pids[0]);
});

test("a listener that throws disturbs nothing but the program itself", async () => {
  const thrown = new Inbox<unknown>();
  const handlers = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.once("uncaughtException", (error) => thrown.put(error));
  await using engine = await spawn(undefined, {
    restart: false,
    onNotice: () => {
      throw new Error("a mistake of the program");
    },
  });
  expect(await crash(engine)).toMatchObject({ signal: "SIGKILL" });
  expect(String(await thrown.next())).toContain("a mistake of the program");
  for (const handler of handlers) process.on("uncaughtException", handler);
});
