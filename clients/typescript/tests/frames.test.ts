/** Whole messages of every kind, and hostile ones. */

import { expect, test } from "vitest";

import { EngineError } from "../src/index.js";
import { decode } from "../src/wire/decode.js";
import { encode } from "../src/wire/encode.js";
import { type Header, type Kind, decodeHeader, encodeHeader } from "../src/wire/header.js";
import { COUNTS, asDecoded, fromHex, readFixture, toHex } from "./support/fixtures.js";

interface Frames {
  name: string;
  header: string;
  body: string;
}

interface Accepted extends Frames {
  reads: { header: Header & { k: Kind }; body: unknown };
}

interface Rejected extends Frames {
  code: string;
  frame: "header" | "body";
}

/** Read, but never written like that. */
const ONLY_READ = /a header with a field that nobody knows|a header in longer forms than needed/;
/** JavaScript has one kind of number: 1.0 is the integer 1 for it. */
const INTEGER_HERE = "header: a float as id";

const { accepted, rejected } = readFixture("frames.json") as { accepted: Accepted[]; rejected: Rejected[] };

test("all messages are read", () => {
  expect({ accepted: accepted.length, rejected: rejected.length }).toEqual(COUNTS.frames);
});

test.each(accepted)("reads and writes $name", ({ name, header, body, reads }) => {
  expect(decodeHeader(fromHex(header))).toEqual(reads.header);
  expect(decode(fromHex(body))).toStrictEqual(asDecoded(reads.body));
  const written = [toHex(encodeHeader(reads.header)), toHex(encode(asDecoded(reads.body)))];
  if (ONLY_READ.test(name)) expect(written).not.toEqual([header, body]);
  else expect(written).toEqual([header, body]);
});

test.each(rejected)("refuses $name", ({ name, header, body, code, frame }) => {
  const ofHeader = frame === "header" && !name.endsWith(INTEGER_HERE) ? code : undefined;
  expect(refusal(() => decodeHeader(fromHex(header)))).toBe(ofHeader);
  expect(refusal(() => decode(fromHex(body)))).toBe(frame === "body" ? code : undefined);
});

/** The code of what is thrown; undefined: nothing is. */
function refusal(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof EngineError) return error.code;
    throw error;
  }
}
