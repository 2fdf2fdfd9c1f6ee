/** The first of a message's two frames: what kind it is, and which request it belongs to. */

import { InvalidMessage, TooLarge } from "../errors.js";
import { isCount, isRecord } from "../plain.js";
import { decode } from "./decode.js";
import { encode } from "./encode.js";
import { LIMITS, MAX_HEADER_BYTES } from "./limits.js";

/** Kinds of message. A receiver ignores kinds it does not know. */
export type Kind =
  | "hello"
  | "welcome"
  | "req"
  | "evts"
  | "res"
  | "err"
  | "ntf"
  | "cancel"
  | "credit"
  | "ping"
  | "pong"
  | "bye";

/** The header frame. */
export interface Header {
  /** Kind. */
  k: string;
  /** On req, res, err, cancel, credit. */
  id?: number | undefined;
  /** Method, on req and ntf. */
  m?: string | undefined;
  /** On res and err: events sent before this terminal. */
  s?: number | undefined;
  /** On a req from the engine: id of the host request it serves. */
  p?: number | undefined;
  /** On req: milliseconds left. */
  ttl?: number | undefined;
  /** On req: idempotency key. */
  idem?: string | undefined;
  /** On req and credit: events the host is ready to take, a delta. */
  credit?: number | undefined;
  /** Nonce of ping and pong. */
  n?: number | undefined;
}

const COUNTS = ["id", "s", "p", "ttl", "credit", "n"] as const;
const TEXTS = ["m", "idem"] as const;
const HEADER_LIMITS = { ...LIMITS, message_bytes: MAX_HEADER_BYTES };

/** A header as msgpack, without fields that are undefined. Throws TooLarge for one that nobody would read. */
export function encodeHeader(header: Header & { k: Kind }): Uint8Array {
  const data = encode(header);
  const { length: size } = data;
  if (size > MAX_HEADER_BYTES) {
    throw new TooLarge(`a header of ${size} bytes; at most ${MAX_HEADER_BYTES} are accepted`, {
      data: { size, limit: MAX_HEADER_BYTES },
    });
  }
  return data;
}

/** The header frame. Unknown fields are ignored. Throws InvalidMessage. */
export function decodeHeader(data: Uint8Array): Header {
  const plain = decode(data, HEADER_LIMITS);
  if (!isRecord(plain)) throw new InvalidMessage("a header that is no map");
  const { k } = plain;
  if (typeof k !== "string") throw new InvalidMessage("a header without a kind in `k`");
  const header: Header = { k };
  for (const name of COUNTS) {
    const value = plain[name] ?? undefined;
    if (value !== undefined) header[name] = count(name, value);
  }
  for (const name of TEXTS) {
    const value = plain[name] ?? undefined;
    if (value === undefined) continue;
    if (typeof value !== "string") throw new InvalidMessage(`a header whose \`${name}\` is no string`);
    header[name] = value;
  }
  return header;
}

function count(name: string, value: unknown): number {
  if (isCount(value)) return value;
  throw new InvalidMessage(`a header whose \`${name}\` is no unsigned integer up to 2^53 - 1`);
}
