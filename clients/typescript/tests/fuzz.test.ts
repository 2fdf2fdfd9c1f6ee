/**
 * Mutated messages thrown at the client: decoder, connection, streams.
 *
 * `FUZZ_FRAMES` says how many, `FUZZ_SEED` which; `npm run fuzz` throws a million of a new seed.
 */

import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";

import { decode } from "../src/wire/decode.js";
import { encode } from "../src/wire/encode.js";
import { decodeHeader, encodeHeader } from "../src/wire/header.js";
import { EVENTS, type Frames, MESSAGES, RESULTS } from "./fuzz/corpus.js";
import { mutateBytes, mutateValue } from "./fuzz/mutate.js";
import { Random } from "./fuzz/random.js";
import { Target, isTyped } from "./fuzz/target.js";
import { toHex } from "./support/fixtures.js";
import { heapBytes } from "./support/garbage.js";

const FRAMES = Number(process.env["FUZZ_FRAMES"]);
const SEED = Number(process.env["FUZZ_SEED"]);
const LONGEST_MS = 2_000;
const MOST_HEAP_GROWTH_BYTES = 16 * 2 ** 20;
const MESSAGES_PER_TARGET = 64;
const MESSAGES_PER_TURN = 8;
/** Kinds whose body is read whatever else the message says. */
const READ_KINDS = ["evts", "req", "ntf", "welcome", "bye"];

/** What became of messages: where each was refused, or that it was taken, or ignored as the protocol says. */
interface Tally {
  header: number;
  body: number;
  /** Both frames were read, and are no message: the connection ended. */
  connection: number;
  /** Refused by the request it is about, which failed. */
  request: number;
  /** Taken as an event, and refused by the loop that reads it. Counted under `taken`, too. */
  reader: number;
  taken: number;
}

test(
  "whatever an engine sends is taken or refused",
  async () => {
    const random = new Random(SEED);
    const tally: Tally = { header: 0, body: 0, connection: 0, request: 0, reader: 0, taken: 0 };
    let longest = 0;
    let target = await Target.open();
    let sequence = new Map<number, number>();
    const heapBefore = await heapBytes();

    for (let index = 0; index < FRAMES; index += 1) {
      const frames = next(random, target.pending, sequence);
      const began = performance.now();
      try {
        tally[judge(target, frames)] += 1;
      } catch (cause) {
        const { header, body } = frames;
        throw new Error(`seed ${SEED}, message ${index}: ${toHex(header)} ${toHex(body)}`, { cause });
      }
      longest = Math.max(longest, performance.now() - began);
      if (index % MESSAGES_PER_TURN === 0) await nextTurn();
      const over = target.endReason !== undefined || target.pending.length === 0;
      if (!over && index % MESSAGES_PER_TARGET !== 0) continue;
      tally.reader += await endOf(target);
      target = await Target.open();
      sequence = new Map();
    }
    await endOf(target);

    const growth = (await heapBytes()) - heapBefore;
    console.log(
      `fuzz: seed ${SEED}, ${FRAMES} messages: ${JSON.stringify(tally)}, ` +
        `longest ${longest.toFixed(1)} ms, heap ${(growth / 2 ** 20).toFixed(1)} MiB larger`,
    );
    expect(longest).toBeLessThan(LONGEST_MS);
    expect(growth).toBeLessThan(MOST_HEAP_GROWTH_BYTES);
    for (const count of Object.values(tally)) expect(count).toBeGreaterThan(0);
  },
  60 * 60_000,
);

/** Let it end; gives back how many readers have refused what they were given. Throws what is no EngineError. */
async function endOf(target: Target): Promise<number> {
  await target.close();
  for (const failure of target.failures) if (!isTyped(failure)) throw failure;
  return target.failures.filter((failure) => /another shape|without a type/.test(String(failure))).length;
}

/** A message with changed bytes, or of another meaning, or about a request that waits for it. */
function next(random: Random, pending: readonly number[], sequence: Map<number, number>): Frames {
  const { header, body } = random.pick(MESSAGES);
  const other = random.pick(MESSAGES);
  switch (random.below(4)) {
    case 0:
      return { header: mutateBytes(header, other.header, random), body };
    case 1:
      return { header, body: mutateBytes(body, other.body, random) };
    case 2:
      return { header, body: changed(body, random) };
    default:
      return aimed(random, random.pick(pending), sequence);
  }
}

function changed(body: Uint8Array, random: Random): Uint8Array {
  try {
    return encode(mutateValue(decode(body), random));
  } catch {
    return mutateBytes(body, body, random);
  }
}

/** An event or the end of a request, right but for one place in it. */
function aimed(random: Random, id: number, sequence: Map<number, number>): Frames {
  const s = sequence.get(id) ?? 0;
  if (random.once(10)) {
    const header = encodeHeader({ k: random.once(2) ? "res" : "err", id, s });
    return { header, body: encode(mutateValue(random.pick(RESULTS), random)) };
  }
  sequence.set(id, s + 1);
  const event = random.once(4) ? random.pick(EVENTS) : mutateValue(random.pick(EVENTS), random);
  return { header: encodeHeader({ k: "evts" }), body: encode([[id, s, event]]) };
}

/** Deliver it, and see that it went as its two frames let expect. */
function judge(target: Target, { header, body }: Frames): keyof Tally {
  const head = attempt(() => decodeHeader(header));
  const content = attempt(() => decode(body));
  const refusals = target.refusals;
  target.deliver(header, body);
  const ended = target.endReason !== undefined;
  const refused = target.refusals > refusals;
  if (head === undefined) {
    if (!ended) throw new Error("a header that cannot be read was taken");
    return "header";
  }
  if (content === undefined) {
    if (!ended && READ_KINDS.includes(head.k)) throw new Error("a body that cannot be read was taken");
    return ended || refused ? "body" : "taken";
  }
  if (target.endReason?.startsWith("it sent an unreadable message") === true) return "connection";
  return refused ? "request" : "taken";
}

/** What is read; undefined: it was refused. Throws whatever else goes wrong. */
function attempt<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (isTyped(error)) return undefined;
    throw error;
  }
}
