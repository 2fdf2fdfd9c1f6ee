import { Readable } from "node:stream";
import { expect, test } from "vitest";

import { readLines } from "../src/lines.js";

async function linesOf(pieces: string[], maxBytes = 100): Promise<string[]> {
  const lines: string[] = [];
  const stream = Readable.from(pieces.map((piece) => Buffer.from(piece)));
  readLines(stream, maxBytes, (line) => lines.push(line));
  await new Promise((resolve) => stream.once("end", resolve));
  return lines;
}

test("however the text is cut", async () => {
  expect(await linesOf(["one\ntwo\r\n", "th", "ree", "\n\nfo", "ur"])).toEqual([
    "one",
    "two",
    "three",
    "",
    "four",
  ]);
});

test("long lines come in parts", async () => {
  expect(await linesOf(["abcdefgh", "ij\nk\n"], 4)).toEqual(["abcd", "efgh", "ij", "k"]);
});
