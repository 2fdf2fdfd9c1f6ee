import { expect, test } from "vitest";
import { say, spawnSidecar } from "./support/sidecar.js";
import { Engine, EngineLost, StartFailed } from "../src/index.js";

test("chat whole and streamed", async () => {
  await using engine = await spawnSidecar();
  const completion = await engine.chat.create({ messages: say("count 5") });
  expect(completion.choices[0]?.message.content).toBe("1 2 3 4 5");
  const stream = engine.chat.stream({ messages: say("count 5") });
  const pieces: string[] = [];
  for await (const text of stream.text()) pieces.push(text);
  expect(pieces.join("")).toBe("1 2 3 4 5");
  expect((await stream.result()).usage).toEqual(completion.usage);
});
test("killed", async () => {
  await using engine = await spawnSidecar();
  const stream = engine.chat.stream({ messages: say("slow 5 talk") });
  const t = performance.now();
  let began = 0;
  await expect((async () => {
    for await (const _ of stream.text()) { if (!began) { process.kill(engine.pid!, "SIGKILL"); began = performance.now(); } }
  })()).rejects.toMatchObject({ code: "engine_lost", signal: "SIGKILL", mayHaveExecuted: true });
  console.log(performance.now() - began, began - t);
});
test("break", async () => {
  await using engine = await spawnSidecar();
  const stream = engine.chat.stream({ messages: say("slow 5 talk") });
  for await (const _ of stream.text()) break;
  await expect(stream.result()).rejects.toMatchObject({ code: "cancelled" });
  const c = new AbortController();
  const p = engine.chat.create({ messages: say("talk") }, { signal: c.signal });
  setTimeout(() => c.abort(), 50);
  await expect(p).rejects.toMatchObject({ name: "AbortError" });
});
test("options", async () => {
  await expect(spawnSidecar({ options: { thread: 1 } })).rejects.toMatchObject({ code: "invalid_params" });
  await expect(Engine.spawn({ appId: "x", command: ["/nonsense"] })).rejects.toBeInstanceOf(StartFailed);
});
