/** What an application of this client feels: round trips, streams side by side, the main loop's pulse. */

import { setTimeout as sleep } from "node:timers/promises";

import type { ChatCreate, ChatEvent, Engine, GenerateCreate, GenerateEvent } from "@llm-sidecar/client";

import type { CommandTo } from "./commands.js";

/** Microseconds of round trips, one after another. */
export async function measurePings(
  engine: Engine,
  { count }: CommandTo<"measure_pings">,
): Promise<{ microseconds: number[] }> {
  const microseconds: number[] = [];
  for (let round = 0; round < count; round += 1) {
    const began = performance.now();
    await engine.ping();
    microseconds.push((performance.now() - began) * 1000);
  }
  return { microseconds };
}

/** Streams that are begun at once and read to their end. */
export async function measureStreams(engine: Engine, command: CommandTo<"measure_streams">): Promise<object> {
  const first_event_seconds: number[] = [];
  let events = 0;
  let characters = 0;
  const processor = process.cpuUsage();
  const began = performance.now();
  const read = async (): Promise<void> => {
    const stream = openStream(engine, command);
    let first = true;
    for await (const event of stream) {
      if (first) first_event_seconds.push(secondsSince(began));
      first = false;
      events += 1;
      characters += textOf(event).length;
    }
    await stream.result();
  };
  await Promise.all(Array.from({ length: command.streams }, read));
  const seconds = secondsSince(began);
  const { user, system } = process.cpuUsage(processor);
  return { events, characters, seconds, processor_seconds: (user + system) / 1e6, first_event_seconds };
}

/** How often a periodic timer of the main loop came more than a period late. */
export async function measureTimer({
  hertz,
  seconds,
}: CommandTo<"measure_timer">): Promise<{ ticks: number; missed: number }> {
  const period = 1000 / hertz;
  const ticks = Math.round(hertz * seconds);
  const began = performance.now();
  let missed = 0;
  for (let tick = 1; tick <= ticks; tick += 1) {
    const due = began + tick * period;
    await sleep(Math.max(0, due - performance.now()));
    if (performance.now() - due > period) missed += 1;
  }
  return { ticks, missed };
}

function openStream(
  engine: Engine,
  { method, params }: CommandTo<"measure_streams">,
): AsyncIterable<ChatEvent | GenerateEvent> & { result(): Promise<unknown> } {
  return method === "chat.create"
    ? engine.chat.stream(params as unknown as ChatCreate)
    : engine.generate.stream(params as unknown as GenerateCreate);
}

function textOf(event: ChatEvent | GenerateEvent): string {
  if (event.type !== "chunk") return "";
  if ("text" in event) return event.text;
  return event.chunk.choices.map(({ delta }) => delta.content ?? "").join("");
}

function secondsSince(began: number): number {
  return (performance.now() - began) / 1000;
}
