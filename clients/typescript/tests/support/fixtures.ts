/** The vectors that the suites of all languages read. */

import { readFileSync, readdirSync } from "node:fs";

import { isRecord } from "../../src/plain.js";

const FOLDER = new URL("../../../../protocol/fixtures/", import.meta.url);

/** How many of each kind there are, for suites to know that they have read them all. */
export interface Counts {
  codec: { accepted: number; rejected: number };
  types: { accepted: number; rejected: number };
  frames: { accepted: number; rejected: number };
  conversations: number;
}

/** A file's content. */
export function readFixture(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, FOLDER), "utf8"));
}

/** The contents of all files in a folder. */
export function readFixtures(folder: string): unknown[] {
  const names = readdirSync(new URL(folder, FOLDER)).filter((name) => name.endsWith(".json"));
  return names.toSorted().map((name) => readFixture(`${folder}/${name}`));
}

export const COUNTS = readFixture("counts.json") as Counts;

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** A value of a vector as the client's decoder gives it: JSON has no bytes, and JSON.parse rounds integers. */
export function asDecoded(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asDecoded);
  if (isRecord(value)) {
    const hex = value["$bytes"] ?? value["$bin"];
    if (typeof hex === "string") return fromHex(hex);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, asDecoded(item)]));
  }
  const rounded = typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
  return rounded && Math.abs(value) < 2 ** 64 ? BigInt(value) : value;
}
