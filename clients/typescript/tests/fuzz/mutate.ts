/** Small changes, to bytes and to what they mean. */

import { isRecord } from "../../src/plain.js";
import type { Random } from "./random.js";

/** Where msgpack's meaning of a byte changes, and around. */
const BYTES = [
  0x00, 0x01, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x91, 0x9f, 0xa0, 0xa1, 0xbf, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5,
  0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd8, 0xd9, 0xda,
  0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xff,
];
const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  1,
  -1,
  2 ** 32,
  Number.MAX_SAFE_INTEGER,
  2n ** 63n,
  0.5,
  "",
  "chunk",
  "🦊",
  "x".repeat(300),
  new Uint8Array(3),
  [],
  [[]],
  {},
  { type: "chunk" },
  { code: "busy", message: "full" },
];
const MOST_CHANGES = 3;

/** A frame with a few changes; `other` lends it a part. */
export function mutateBytes(frame: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  let bytes: Uint8Array = frame;
  for (let left = 1 + random.below(MOST_CHANGES); left > 0; left -= 1) bytes = changed(bytes, other, random);
  return bytes;
}

function changed(bytes: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1);
  const end = Math.min(bytes.length, at + 1 + random.below(8));
  const before = bytes.subarray(0, at);
  switch (random.below(6)) {
    case 0:
      return joined(before, Uint8Array.of((bytes[at] ?? 0) ^ (1 << random.below(8))), bytes.subarray(at + 1));
    case 1:
      return joined(before, Uint8Array.of(random.pick(BYTES)), bytes.subarray(at + 1));
    case 2:
      return joined(before, Uint8Array.of(random.pick(BYTES)), bytes.subarray(at));
    case 3:
      return joined(before, bytes.subarray(end));
    case 4:
      return joined(bytes.subarray(0, end), bytes.subarray(at));
    default:
      return joined(before, other.subarray(random.below(other.length + 1)));
  }
}

function joined(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

/** The value with one place of it changed. */
export function mutateValue(value: unknown, random: Random): unknown {
  if (random.once(6)) return random.pick(VALUES);
  if (Array.isArray(value) && value.length > 0) return mutateList(value, random);
  if (isRecord(value) && Object.keys(value).length > 0) return mutateMap(value, random);
  return random.pick(VALUES);
}

function mutateList(list: readonly unknown[], random: Random): unknown[] {
  const at = random.below(list.length);
  switch (random.below(8)) {
    case 0:
      return list.toSpliced(at, 1);
    case 1:
      return list.toSpliced(at, 0, list[at]);
    default:
      return list.with(at, mutateValue(list[at], random));
  }
}

function mutateMap(map: Record<string, unknown>, random: Random): Record<string, unknown> {
  const name = random.pick(Object.keys(map));
  const { [name]: value, ...rest } = map;
  switch (random.below(8)) {
    case 0:
      return rest;
    case 1:
      return { ...map, [`${name}_`]: value };
    default:
      return { ...map, [name]: mutateValue(value, random) };
  }
}
