/** Values of the protocol as JSON: bytes are {"$bytes": hex}, integers are exact. */

/** Parse a line. Throws SyntaxError. */
export function readJson(line: string): unknown {
  return JSON.parse(line, (_, value: unknown) => bytesOf(value) ?? value);
}

/** A line of JSON, without its end. */
export function writeJson(value: unknown): string {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return `{"$bytes":"${Buffer.from(value).toString("hex")}"}`;
  if (Array.isArray(value)) return `[${value.map(writeJson).join()}]`;
  if (value === undefined) return "null";
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${writeJson(field)}`).join()}}`;
}

function bytesOf(value: unknown): Uint8Array | undefined {
  if (typeof value !== "object" || value === null || !("$bytes" in value)) return undefined;
  return Uint8Array.from(Buffer.from(String(value.$bytes), "hex"));
}
