/** The codec against the vectors that all languages share, and against another implementation. */

import * as msgpack from "@msgpack/msgpack";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { EngineError } from "../src/index.js";
import { decode } from "../src/wire/decode.js";
import { encode } from "../src/wire/encode.js";
import { decodeHeader, encodeHeader } from "../src/wire/header.js";
import { COUNTS, asDecoded, readFixture } from "./support/fixtures.js";

interface Vector {
  name: string;
  hex: string;
  repeat?: number;
  then?: string;
  value?: unknown;
  value_depth?: number;
  code?: string;
}

const VECTORS = readFixture("codec.json") as { accept: Vector[]; reject: Vector[] };

function frame({ hex, repeat = 1, then = "" }: Vector): Uint8Array {
  return Buffer.from(hex.repeat(repeat) + then, "hex");
}

test("all vectors are read", () => {
  expect({ accepted: VECTORS.accept.length, rejected: VECTORS.reject.length }).toEqual(COUNTS.codec);
});

function failure(action: () => unknown): EngineError {
  try {
    action();
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error("it was expected to fail");
}

test.each(VECTORS.accept)("accepts $name", (vector) => {
  const value = decode(frame(vector));
  if (vector.value_depth === undefined) expect(value).toStrictEqual(asDecoded(vector.value));
  else expect(depthOf(value)).toBe(vector.value_depth);
});

function depthOf(value: unknown): number {
  return Array.isArray(value) ? 1 + Math.max(0, ...value.map(depthOf)) : 0;
}

test.each(VECTORS.reject)("rejects $name", (vector) => {
  expect(failure(() => decode(frame(vector))).code).toBe(vector.code);
});

describe("limits", () => {
  const small = { message_bytes: 100, depth: 3, elements: 5 };

  test("of bytes", () => {
    const error = failure(() => decode(Buffer.alloc(101), small));
    expect(error).toMatchObject({ code: "too_large", data: { size: 101, limit: 100 } });
    expect(failure(() => encode("x".repeat(100), small)).code).toBe("too_large");
  });

  test("of elements", () => {
    expect(decode(encode([1, 2, 3, 4, 5]), small)).toEqual([1, 2, 3, 4, 5]);
    expect(failure(() => decode(encode([1, 2, { a: 3, b: 4 }]), small)).code).toBe("too_large");
    expect(failure(() => encode([1, 2, { a: 3, b: 4 }], small)).code).toBe("too_large");
  });

  test("of depth", () => {
    expect(decode(encode([[[1]]]), small)).toEqual([[[1]]]);
    expect(failure(() => decode(encode([[[[]]]]), small)).code).toBe("invalid_message");
    expect(failure(() => encode([[[[]]]], small)).code).toBe("invalid_message");
  });
});

describe("decoding", () => {
  test("integers that a number cannot hold are bigints", () => {
    expect(decode(Buffer.from("cf0020000000000000", "hex"))).toBe(2n ** 53n);
    expect(decode(Buffer.from("d3ffdfffffffffffff", "hex"))).toBe(-(2n ** 53n) - 1n);
    expect(decode(Buffer.from("cfffffffffffffffff", "hex"))).toBe(2n ** 64n - 1n);
    expect(decode(Buffer.from("d3ffe0000000000001", "hex"))).toBe(-(2 ** 53) + 1);
  });

  test("a key named __proto__ is a key", () => {
    const value = decode(encode(JSON.parse('{"__proto__": {"polluted": true}}'))) as object;
    expect(Object.keys(value)).toEqual(["__proto__"]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect("polluted" in {}).toBe(false);
  });

  test("bytes are copies", () => {
    const data = encode(Uint8Array.of(1, 2, 3));
    const bytes = decode(data) as Uint8Array;
    data.fill(0);
    expect(bytes).toStrictEqual(Uint8Array.of(1, 2, 3));
    expect(bytes.buffer.byteLength).toBe(3);
  });

  test("errors say where", () => {
    expect(failure(() => decode(encode([1, 2]).subarray(0, 2))).message).toMatch(
      /^byte 0: announces 2 values/,
    );
    expect(failure(() => decode(Buffer.from("82a16101a16102", "hex"))).message).toContain('"a" occurs twice');
  });
});

describe("encoding", () => {
  test.each([
    [{ a: [1, NaN] }, "NaN at a[1] cannot be sent"],
    [{ a: { b: Infinity } }, "Infinity at a.b cannot be sent"],
    [{ a: new Date(0) }, "a Date at a cannot be sent"],
    [new Map(), "a Map cannot be sent"],
    [() => 1, "a function cannot be sent"],
    [Symbol("s"), "a symbol cannot be sent"],
    [2n ** 64n, "an integer of more than 64 bits cannot be sent"],
    ["\ud800", "a string with half of a surrogate pair cannot be sent"],
  ])("refuses %s", (value, message) => {
    const error = failure(() => encode(value));
    expect([error.code, error.message]).toEqual(["invalid_message", message]);
  });

  test("refuses a cycle", () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(failure(() => encode(cycle)).message).toContain("nesting beyond 64 levels");
  });

  test("leaves undefined out of objects", () => {
    expect(decode(encode({ a: undefined, b: [undefined], c: null }))).toEqual({ b: [null], c: null });
  });
});

/** The other implementation refuses this one key. */
const keys = fc.string({ unit: "binary", maxLength: 40 }).filter((key) => key !== "__proto__");

const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.integer({ min: -200, max: 70_000 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => (number === 0 ? 0 : number)),
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie("value"), { maxLength: 20 }),
    fc.dictionary(keys, tie("value"), { maxKeys: 20, noNullPrototype: true }),
  ),
})).value;

test("what is encoded is decoded again, and so by another implementation", () => {
  fc.assert(
    fc.property(values, (value) => {
      const data = encode(value);
      expect(decode(data)).toStrictEqual(value);
      expect(msgpack.decode(Uint8Array.from(data))).toEqual(value);
      expect(decode(msgpack.encode(value))).toStrictEqual(value);
    }),
  );
});

test("64-bit integers come back", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (integer) => {
      expect(BigInt(decode(encode(integer)) as number | bigint)).toBe(integer);
    }),
  );
});

test("any bytes are decoded or refused with a code", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.tuple(values, fc.nat(), fc.nat({ max: 255 })).map(([value, at, byte]) => {
      const data = Uint8Array.from(encode(value));
      if (data.length > 0) data[at % data.length] = byte;
      return data;
    }),
  );
  fc.assert(
    fc.property(bytes, (data) => {
      try {
        decode(data);
      } catch (error) {
        expect(error).toBeInstanceOf(EngineError);
      }
    }),
    { numRuns: Number(process.env["FUZZ_RUNS"] ?? 2000) },
  );
});

describe("headers", () => {
  test("come back without what is undefined", () => {
    expect(decodeHeader(encodeHeader({ k: "req", id: 1, m: "engine.ping", ttl: undefined }))).toEqual({
      k: "req",
      id: 1,
      m: "engine.ping",
    });
  });

  test("unknown fields and nil are ignored", () => {
    expect(decodeHeader(encode({ k: "new", later: [1], id: null }))).toEqual({ k: "new" });
  });

  test.each([[[1]], [{}], [{ k: 1 }], [{ k: "req", id: -1 }], [{ k: "req", id: 1.5 }], [{ k: "req", m: 3 }]])(
    "that are none are refused: %j",
    (header) => {
      expect(failure(() => decodeHeader(encode(header))).code).toBe("invalid_message");
    },
  );

  test("are bounded", () => {
    expect(failure(() => decodeHeader(encode({ k: "x".repeat(5000) }))).code).toBe("too_large");
  });
});
