/**
 * Plain values to one msgpack frame. What the other side would refuse is refused here, with its path.
 *
 * undefined is left out of objects, as JSON does it.
 */

import { InvalidMessage, TooLarge } from "../errors.js";
import { LIMITS } from "./limits.js";

type EncodingLimits = Pick<typeof LIMITS, "message_bytes" | "depth" | "elements">;

const FIRST_BYTES = 512;

/**
 * The frame of null, booleans, finite numbers, bigints of 64 bits, strings, Uint8Arrays, arrays and objects.
 *
 * Throws TooLarge above the limit of bytes or elements, else InvalidMessage.
 */
export function encode(value: unknown, limits: EncodingLimits = LIMITS): Uint8Array {
  const writer = new Writer(limits);
  writer.write(value, 0);
  return writer.frame;
}

class Writer {
  readonly #limits: EncodingLimits;
  readonly #path: (string | number)[] = [];
  #buffer = Buffer.allocUnsafe(FIRST_BYTES);
  #size = 0;
  #elements = 0;

  constructor(limits: EncodingLimits) {
    this.#limits = limits;
  }

  get frame(): Uint8Array {
    return this.#buffer.subarray(0, this.#size);
  }

  write(value: unknown, depth: number): void {
    switch (typeof value) {
      case "string":
        this.#string(value);
        break;
      case "number":
        this.#number(value);
        break;
      case "boolean":
        this.#byte(value ? 0xc3 : 0xc2);
        break;
      case "undefined":
        this.#byte(0xc0);
        break;
      case "bigint":
        this.#bigint(value);
        break;
      case "object":
        this.#object(value, depth);
        break;
      default:
        throw this.#refusal(`a ${typeof value}`);
    }
  }

  #object(value: object | null, depth: number): void {
    if (value === null) {
      this.#byte(0xc0);
    } else if (Array.isArray(value)) {
      this.#array(value, depth);
    } else if (value instanceof Uint8Array) {
      this.#bytes(value);
    } else if (Object.prototype.toString.call(value) === "[object Object]") {
      this.#map(value, depth);
    } else {
      throw this.#refusal(`a ${Object.prototype.toString.call(value).slice(8, -1)}`);
    }
  }

  #array(values: readonly unknown[], depth: number): void {
    this.#enter(values.length, depth);
    this.#head(values.length, 0x90, 16, 0xdc);
    values.forEach((item, index) => {
      this.#path.push(index);
      this.write(item, depth + 1);
      this.#path.pop();
    });
  }

  #map(map: object, depth: number): void {
    const entries = Object.entries(map).filter(([, value]) => value !== undefined);
    this.#enter(2 * entries.length, depth);
    this.#head(entries.length, 0x80, 16, 0xde);
    for (const [key, value] of entries) {
      this.#path.push(key);
      this.#string(key);
      this.write(value, depth + 1);
      this.#path.pop();
    }
  }

  /** Bounds the depth too, which is how a cycle is noticed. */
  #enter(values: number, depth: number): void {
    this.#elements += values;
    if (this.#elements > this.#limits.elements) {
      throw new TooLarge(`more than ${this.#limits.elements} elements in one message`, {
        data: { limit: this.#limits.elements },
      });
    }
    if (depth === this.#limits.depth) throw this.#refusal(`nesting beyond ${depth} levels`);
  }

  #string(text: string): void {
    if (!text.isWellFormed()) throw this.#refusal("a string with half of a surrogate pair");
    const length = Buffer.byteLength(text);
    if (length < 32) this.#byte(0xa0 | length);
    else if (length < 2 ** 8) this.#sized(0xd9, 1, length);
    else if (length < 2 ** 16) this.#sized(0xda, 2, length);
    else this.#sized(0xdb, 4, length);
    this.#reserve(length);
    this.#buffer.write(text, this.#size, "utf8");
    this.#size += length;
  }

  #bytes(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length < 2 ** 8) this.#sized(0xc4, 1, length);
    else if (length < 2 ** 16) this.#sized(0xc5, 2, length);
    else this.#sized(0xc6, 4, length);
    this.#reserve(length);
    this.#buffer.set(bytes, this.#size);
    this.#size += length;
  }

  #number(number: number): void {
    if (Number.isSafeInteger(number)) {
      this.#integer(number);
    } else if (Number.isFinite(number)) {
      this.#byte(0xcb);
      this.#reserve(8);
      this.#size = this.#buffer.writeDoubleBE(number, this.#size);
    } else {
      throw this.#refusal(String(number));
    }
  }

  #integer(number: number): void {
    if (number >= 0) {
      if (number < 2 ** 7) this.#byte(number);
      else if (number < 2 ** 8) this.#sized(0xcc, 1, number);
      else if (number < 2 ** 16) this.#sized(0xcd, 2, number);
      else if (number < 2 ** 32) this.#sized(0xce, 4, number);
      else this.#bigint(BigInt(number));
    } else if (number >= -(2 ** 5)) this.#byte(number + 2 ** 8);
    else if (number >= -(2 ** 7)) this.#sized(0xd0, 1, number + 2 ** 8);
    else if (number >= -(2 ** 15)) this.#sized(0xd1, 2, number + 2 ** 16);
    else if (number >= -(2 ** 31)) this.#sized(0xd2, 4, number + 2 ** 32);
    else this.#bigint(BigInt(number));
  }

  #bigint(integer: bigint): void {
    if (integer !== BigInt.asIntN(64, integer) && integer !== BigInt.asUintN(64, integer)) {
      throw this.#refusal("an integer of more than 64 bits");
    }
    this.#byte(integer >= 0n ? 0xcf : 0xd3);
    this.#reserve(8);
    this.#size = this.#buffer.writeBigUInt64BE(BigInt.asUintN(64, integer), this.#size);
  }

  #head(count: number, fix: number, fixCounts: number, sixteen: number): void {
    if (count < fixCounts) this.#byte(fix | count);
    else if (count < 2 ** 16) this.#sized(sixteen, 2, count);
    else this.#sized(sixteen + 1, 4, count);
  }

  #sized(tag: number, bytes: 1 | 2 | 4, number: number): void {
    this.#byte(tag);
    this.#reserve(bytes);
    this.#size = this.#buffer.writeUIntBE(number, this.#size, bytes);
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#buffer[this.#size] = byte;
    this.#size += 1;
  }

  #reserve(bytes: number): void {
    const needed = this.#size + bytes;
    const limit = this.#limits.message_bytes;
    if (needed > limit) {
      throw new TooLarge(`a body of more than ${limit} bytes`, { data: { size: needed, limit } });
    }
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length));
    this.#buffer.copy(larger, 0, 0, this.#size);
    this.#buffer = larger;
  }

  #refusal(what: string): InvalidMessage {
    const where = this.#path.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`)).join("");
    const place = where === "" ? "" : ` at ${where.replace(/^\./, "")}`;
    return new InvalidMessage(`${what}${place} cannot be sent`);
  }
}
