/** A value of every type, right and wrong: the codec keeps its bytes, and the compiler tells the two apart. */

import { beforeAll, describe, expect, test } from "vitest";

import { isRecord } from "../src/plain.js";
import { decode } from "../src/wire/decode.js";
import { encode } from "../src/wire/encode.js";
import { compile, ownOptions } from "./support/compile.js";
import { COUNTS, asDecoded, fromHex, readFixtures, toHex } from "./support/fixtures.js";

type Flaw =
  | "missing"
  | "kind"
  | "float_for_integer"
  | "range"
  | "length"
  | "pattern"
  | "unknown_field"
  | "unknown_option"
  | "hostile";

interface Vector {
  name: string;
  type: string;
  role: string;
  body: string;
  value: unknown;
}

interface Module {
  module: string;
  accepted: Vector[];
  rejected: (Vector & { flaw: Flaw })[];
}

/** Whether the compiler sees a flaw. Numbers are of one kind for it, and it knows no bounds and no patterns. */
const SEEN: Record<Flaw, boolean> = {
  missing: true,
  kind: true,
  float_for_integer: false,
  range: false,
  length: false,
  pattern: false,
  unknown_field: true,
  unknown_option: true,
  hostile: true,
};

/** Wrong in a field that types do not have, since the client itself says it. */
const OUT_OF_SIGHT = ["ChatCreate: stream is a text"];

const MODULES = readFixtures("types") as Module[];
const ACCEPTED = MODULES.flatMap(({ accepted }) => accepted);
const REJECTED = MODULES.flatMap(({ rejected }) => rejected);

test("all vectors are read", () => {
  expect({ accepted: ACCEPTED.length, rejected: REJECTED.length }).toEqual(COUNTS.types);
});

describe("the codec", () => {
  test.each(ACCEPTED)("reads and writes $name", ({ body, value }) => {
    expect(decode(fromHex(body))).toStrictEqual(asDecoded(value));
    expect(toHex(encode(asDecoded(value)))).toBe(body);
  });

  test.each(REJECTED)("reads $name", ({ body, value }) => {
    expect(decode(fromHex(body))).toStrictEqual(asDecoded(value));
  });
});

describe("the compiler", () => {
  let problems: ReadonlyMap<number, string>;
  const vectors = [...ACCEPTED, ...REJECTED];

  beforeAll(() => {
    const file = "tests/all-vectors.ts";
    const lines = vectors.map(
      (vector, index) => `export const v${index}: T.${vector.type} = ${written(vector)};`,
    );
    const source = ['import type * as T from "../src/types/index.js";', ...lines].join("\n");
    const found = compile({ [file]: source }, ownOptions());
    problems = new Map(found.map(({ line, message }) => [line - 1, message]));
  });

  test.each(ACCEPTED.map((vector, index) => ({ ...vector, index })))("takes $name", ({ index }) => {
    expect(problems.get(index)).toBeUndefined();
  });

  test.each(REJECTED.map((vector, index) => ({ ...vector, index: ACCEPTED.length + index })))(
    "judges $name",
    ({ index, flaw, name }) => {
      expect(problems.get(index) !== undefined).toBe(SEEN[flaw] && !OUT_OF_SIGHT.includes(name));
    },
  );
});

/** The value as source. `stream` is left out of params: the client itself says it. */
function written({ role, value }: Vector): string {
  if (role !== "params" || !isRecord(value)) return literal(asDecoded(value));
  return literal(asDecoded(Object.fromEntries(Object.entries(value).filter(([name]) => name !== "stream"))));
}

function literal(value: unknown): string {
  if (value instanceof Uint8Array) return `Uint8Array.of(${value.join()})`;
  if (Array.isArray(value)) return `[${value.map(literal).join()}]`;
  if (!isRecord(value)) return typeof value === "bigint" ? String(value) : JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}:${literal(item)}`)
    .join()}}`;
}
