/** What a driver can be told to do. */

import { z } from "zod";

import { readJson } from "./json.js";

/** A line that is no command, or one about something that there is not. */
export class NotUnderstood extends Error {}

const milliseconds = z.number().nonnegative();
const count = z.int().nonnegative();
const fields = z.record(z.string(), z.unknown());
const read = z.union([z.literal("all"), count]);

const behaviour = {
  behaviour: z.enum(["answer", "throw", "hold"]),
  /** Of "answer". */
  result: z.unknown().optional(),
  /** Of "throw". */
  message: z.string().optional(),
};
const handler = z.strictObject({ method: z.string(), ...behaviour });
const tool = z.strictObject({
  name: z.string(),
  parameters: fields.default({ type: "object" }),
  ...behaviour,
});

const opening = {
  engine: z.string(),
  handshake_timeout_ms: milliseconds.optional(),
  liveness: z.strictObject({ ping_every_ms: milliseconds, frozen_after_ms: milliseconds }).optional(),
  handlers: z.array(handler).default([]),
  tools: z.array(tool).default([]),
};
const asking = {
  request: z.string(),
  engine: z.string(),
  method: z.string(),
  params: fields.default({}),
  deadline_ms: milliseconds.optional(),
  idempotency_key: z.string().optional(),
};

const COMMANDS = z.discriminatedUnion("do", [
  z.strictObject({
    do: z.literal("spawn"),
    ...opening,
    command: z.array(z.string()),
    app_id: z.string(),
    options: fields.optional(),
    environment: z.record(z.string(), z.string()).optional(),
    restart: z
      .union([z.literal(false), z.strictObject({ max_restarts: count, within_ms: milliseconds })])
      .optional(),
  }),
  z.strictObject({ do: z.literal("connect"), ...opening, connection_file: z.string() }),
  z.strictObject({ do: z.literal("call"), ...asking }),
  z.strictObject({ do: z.literal("stream"), ...asking, credit: z.number().optional(), read }),
  z.strictObject({ do: z.literal("read"), request: z.string(), count: read }),
  z.strictObject({ do: z.literal("cancel"), request: z.string() }),
  z.strictObject({
    do: z.literal("answer"),
    held: z.string(),
    result: z.unknown().optional(),
    throw: z.string().optional(),
  }),
  z.strictObject({ do: z.literal("close"), engine: z.string(), grace_ms: milliseconds.optional() }),
  z.strictObject({ do: z.literal("abort"), engine: z.string() }),
  z.strictObject({ do: z.literal("measure_pings"), engine: z.string(), measure: z.string(), count }),
  z.strictObject({
    do: z.literal("measure_streams"),
    engine: z.string(),
    measure: z.string(),
    streams: count,
    method: z.enum(["chat.create", "generate.create"]),
    params: fields,
  }),
  z.strictObject({
    do: z.literal("measure_timer"),
    measure: z.string(),
    hertz: z.number().positive(),
    seconds: z.number().positive(),
  }),
]);

export type Command = z.infer<typeof COMMANDS>;
/** The command of that name. */
export type CommandTo<Do extends Command["do"]> = Extract<Command, { do: Do }>;
export type Behaviour = Pick<z.infer<typeof handler>, keyof typeof behaviour>;

/** Throws NotUnderstood. */
export function readCommand(line: string): Command {
  let plain: unknown;
  try {
    plain = readJson(line);
  } catch (error) {
    throw new NotUnderstood(`no JSON: ${String(error)}`, { cause: error });
  }
  const parsed = COMMANDS.safeParse(plain);
  if (parsed.success) return parsed.data;
  throw new NotUnderstood(z.prettifyError(parsed.error), { cause: parsed.error });
}
