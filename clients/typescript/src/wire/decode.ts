/**
 * One msgpack frame to plain values, held to the rules both sides rely on.
 *
 * Strict UTF-8, string keys, no duplicate keys, no trailing bytes, no NaN, no
 * Infinity, no extension types, bounded nesting and elements: all of it checked
 * on the way, since no common library checks it. An integer that a number cannot
 * hold exactly becomes a bigint, never a rounded number.
 */

import { InvalidMessage, TooLarge } from "../errors.js";
import { LIMITS } from "./limits.js";

type DecodingLimits = Pick<typeof LIMITS, "message_bytes" | "depth" | "elements">;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Up to this length, ASCII text is read faster by hand. */
const SHORT_TEXT_BYTES = 16;

/**
 * The value as null, boolean, number, bigint, string, Uint8Array, array or object.
 *
 * Throws TooLarge above the limit of bytes or elements, else InvalidMessage, which says
 * what is wrong and at which byte.
 */
export function decode(data: Uint8Array, limits: DecodingLimits = LIMITS): unknown {
  checkSize(data.length, limits);
  return new Reader(data, limits).only();
}

/** Throws TooLarge for a body above the limit. */
export function checkSize(size: number, limits: Pick<typeof LIMITS, "message_bytes">): void {
  if (size > limits.message_bytes) {
    throw new TooLarge(`a body of ${size} bytes; at most ${limits.message_bytes} are accepted`, {
      data: { size, limit: limits.message_bytes },
    });
  }
}

class Reader {
  readonly #data: Uint8Array;
  readonly #view: DataView;
  readonly #limits: DecodingLimits;
  #position = 0;
  #elements = 0;

  constructor(data: Uint8Array, limits: DecodingLimits) {
    this.#data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    this.#limits = limits;
  }

  only(): unknown {
    const value = this.#value(0);
    const rest = this.#data.length - this.#position;
    if (rest > 0) throw broken(this.#position, `${rest} bytes follow the end of the message`);
    return value;
  }

  #value(depth: number): unknown {
    const start = this.#position;
    const byte = this.#data[start];
    if (byte === undefined) throw broken(start, "the frame ends here, more values were announced");
    this.#position += 1;
    if (byte < 0x80) return byte;
    if (byte >= 0xe0) return byte - 0x100;
    if (byte < 0x90) return this.#map(start, byte - 0x80, depth);
    if (byte < 0xa0) return this.#array(start, byte - 0x90, depth);
    if (byte < 0xc0) return this.#text(byte - 0xa0);
    return this.#longer(start, byte, depth);
  }

  #longer(start: number, byte: number, depth: number): unknown {
    switch (byte) {
      case 0xc0:
        return null;
      case 0xc1:
        throw broken(start, "byte 0xc1 is not msgpack");
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.#bytes(this.#unsigned(1));
      case 0xc5:
        return this.#bytes(this.#unsigned(2));
      case 0xc6:
        return this.#bytes(this.#unsigned(4));
      case 0xca:
        return finite(start, this.#view.getFloat32(this.#take(4)));
      case 0xcb:
        return finite(start, this.#view.getFloat64(this.#take(8)));
      case 0xcc:
        return this.#unsigned(1);
      case 0xcd:
        return this.#unsigned(2);
      case 0xce:
        return this.#unsigned(4);
      case 0xcf:
        return exact(this.#view.getBigUint64(this.#take(8)));
      case 0xd0:
        return this.#view.getInt8(this.#take(1));
      case 0xd1:
        return this.#view.getInt16(this.#take(2));
      case 0xd2:
        return this.#view.getInt32(this.#take(4));
      case 0xd3:
        return exact(this.#view.getBigInt64(this.#take(8)));
      case 0xd9:
        return this.#text(this.#unsigned(1));
      case 0xda:
        return this.#text(this.#unsigned(2));
      case 0xdb:
        return this.#text(this.#unsigned(4));
      case 0xdc:
        return this.#array(start, this.#unsigned(2), depth);
      case 0xdd:
        return this.#array(start, this.#unsigned(4), depth);
      case 0xde:
        return this.#map(start, this.#unsigned(2), depth);
      case 0xdf:
        return this.#map(start, this.#unsigned(4), depth);
      default:
        throw broken(start, "an extension type; only nil, bool, numbers, str, bin, array and map are used");
    }
  }

  #array(start: number, count: number, depth: number): unknown[] {
    this.#enter(start, count, depth);
    const values: unknown[] = [];
    for (let index = 0; index < count; index += 1) values.push(this.#value(depth + 1));
    return values;
  }

  #map(start: number, count: number, depth: number): Record<string, unknown> {
    this.#enter(start, 2 * count, depth);
    const map: Record<string, unknown> = {};
    for (let index = 0; index < count; index += 1) {
      const keyStart = this.#position;
      const key = this.#key(keyStart);
      if (Object.hasOwn(map, key)) {
        throw broken(keyStart, `the key ${JSON.stringify(key.slice(0, 100))} occurs twice in one map`);
      }
      const value = this.#value(depth + 1);
      // Assigned, this one key would change the object's prototype.
      if (key === "__proto__") define(map, key, value);
      else map[key] = value;
    }
    return map;
  }

  #key(start: number): string {
    const byte = this.#data[start];
    if (byte === undefined) throw broken(start, "the frame ends here, a map's key was announced");
    if (!((byte >= 0xa0 && byte < 0xc0) || (byte >= 0xd9 && byte <= 0xdb))) {
      throw broken(start, "a map key is no string; keys must be strings");
    }
    return this.#value(0) as string;
  }

  /** Holds a container to the limits before anything is allocated for it. */
  #enter(start: number, values: number, depth: number): void {
    const left = this.#data.length - this.#position;
    if (values > left) throw broken(start, `announces ${values} values, ${left} bytes are left`);
    this.#elements += values;
    if (this.#elements > this.#limits.elements) {
      throw new TooLarge(`byte ${start}: more than ${this.#limits.elements} elements`, {
        data: { offset: start, limit: this.#limits.elements },
      });
    }
    if (depth === this.#limits.depth) throw broken(start, `nested deeper than ${depth} levels`);
  }

  #text(length: number): string {
    const start = this.#take(length);
    if (length <= SHORT_TEXT_BYTES) {
      const text = this.#shortAscii(start, length);
      if (text !== undefined) return text;
    }
    try {
      return UTF8.decode(this.#data.subarray(start, start + length));
    } catch {
      throw broken(start, "a string is no UTF-8");
    }
  }

  #shortAscii(start: number, length: number): string | undefined {
    let text = "";
    for (let index = start; index < start + length; index += 1) {
      const byte = this.#data[index] ?? 0x80;
      if (byte >= 0x80) return undefined;
      text += String.fromCharCode(byte);
    }
    return text;
  }

  #bytes(length: number): Uint8Array {
    const start = this.#take(length);
    // A copy, because a view would keep, and hand on, the whole frame.
    return new Uint8Array(this.#data.subarray(start, start + length));
  }

  #unsigned(bytes: 1 | 2 | 4): number {
    const start = this.#take(bytes);
    if (bytes === 1) return this.#view.getUint8(start);
    return bytes === 2 ? this.#view.getUint16(start) : this.#view.getUint32(start);
  }

  #take(bytes: number): number {
    const start = this.#position;
    const left = this.#data.length - start;
    if (bytes > left) throw broken(start, `a value of ${bytes} bytes, ${left} are left`);
    this.#position += bytes;
    return start;
  }
}

function exact(integer: bigint): number | bigint {
  const number = Number(integer);
  return Number.isSafeInteger(number) ? number : integer;
}

function finite(position: number, number: number): number {
  if (!Number.isFinite(number)) {
    throw broken(position, "a number that is NaN or infinite; numbers must be finite");
  }
  return number;
}

function define(map: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(map, key, { value, writable: true, enumerable: true, configurable: true });
}

function broken(position: number, problem: string): InvalidMessage {
  return new InvalidMessage(`byte ${position}: ${problem}`, { data: { offset: position } });
}
