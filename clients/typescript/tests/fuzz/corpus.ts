/** What is mutated: what engines say in the vectors. */

import { isRecord } from "../../src/plain.js";
import { decode } from "../../src/wire/decode.js";
import { fromHex, readFixture, readFixtures } from "../support/fixtures.js";

export interface Frames {
  header: Uint8Array;
  body: Uint8Array;
}

interface Step {
  from: string;
  header: string;
  body: string;
}

interface Vector {
  role: string;
  body: string;
}

const frames = readFixture("frames.json") as { accepted: Step[]; rejected: Step[] };
const conversations = readFixtures("conversations") as { steps: Step[] }[];
const modules = readFixtures("types") as { accepted: Vector[]; rejected: Vector[] }[];

const steps = [...frames.accepted, ...frames.rejected, ...conversations.flatMap((one) => one.steps)];

/** Whole messages of engines, right and wrong. */
export const MESSAGES: readonly Frames[] = steps
  .filter(({ from }) => from === "engine")
  .map(({ header, body }) => ({ header: fromHex(header), body: fromHex(body) }));

/** Events of every kind. */
export const EVENTS = bodies("event");

/** Results of every method. */
export const RESULTS = bodies("result");

function bodies(role: string): readonly Record<string, unknown>[] {
  return modules
    .flatMap(({ accepted }) => accepted)
    .filter((vector) => vector.role === role)
    .map(({ body }) => decode(fromHex(body)))
    .filter(isRecord);
}
