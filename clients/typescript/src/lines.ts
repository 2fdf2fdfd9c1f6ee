/** Text that arrives in pieces, line by line. */

import type { Readable } from "node:stream";

const NEWLINE = 0x0a;

/**
 * Calls `line` with each line of a stream, without its end; a longer line than `maxBytes` comes in parts.
 * What follows the last newline counts as a line.
 */
export function readLines(stream: Readable, maxBytes: number, line: (text: string) => void): void {
  let held: Buffer = Buffer.alloc(0);
  stream.on("data", (piece: Buffer) => {
    held = held.length === 0 ? piece : Buffer.concat([held, piece]);
    let start = 0;
    for (;;) {
      const end = held.indexOf(NEWLINE, start);
      const length = (end < 0 ? held.length : end) - start;
      if (length >= maxBytes) {
        line(text(held.subarray(start, start + maxBytes)));
        start += maxBytes;
      } else if (end < 0) {
        break;
      } else {
        line(text(held.subarray(start, end)));
        start = end + 1;
      }
    }
    held = held.subarray(start);
  });
  stream.on("end", () => {
    if (held.length > 0) line(text(held));
  });
}

function text(bytes: Buffer): string {
  return bytes.toString("utf8").replace(/\r$/, "");
}
