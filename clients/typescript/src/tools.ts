/** Functions of this program that the model may call, each with a schema of its arguments. */

import { InvalidParams, NotFound } from "./errors.js";
import type { HostHandlers, HostRequestContext } from "./host-requests.js";
import { isRecord } from "./plain.js";
import type { ChatTool } from "./types/chat-messages.js";
import type { HostCallTool, ToolOutput } from "./types/host.js";

type JsonObject = Record<string, unknown>;

/** A schema of a validation library that follows Standard Schema and can say its JSON Schema. */
export interface StandardSchema<Output = unknown> {
  readonly "~standard": {
    readonly types?: { readonly output: Output } | undefined;
    readonly validate: (value: unknown) => Validation<Output> | Promise<Validation<Output>>;
    readonly jsonSchema: {
      readonly input: (options: { target: "draft-2020-12" }) => Record<string, unknown>;
    };
  };
}

type Validation<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly Issue[] };

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What a tool may want to know besides its arguments. */
export interface ToolContext extends HostRequestContext {
  /** The same after a resume: a tool that remembers it need not do the work twice. */
  callId: string;
}

/** A function the model may call; made by `tool`. */
export interface HostTool {
  /** What chat.create takes in `tools`. */
  readonly definition: ChatTool;
  /** Check the arguments and run it. What it throws is its failure. */
  readonly execute: (args: JsonObject, context: ToolContext) => Promise<unknown>;
}

interface ToolSpec<Parameters, Arguments> {
  /** Letters, digits, underscore and dash, at most 64. */
  name: string;
  description?: string;
  /** A schema of zod, arktype or another library that follows Standard Schema, or a JSON Schema. */
  parameters: Parameters;
  /** Gives back a string, or what is written as JSON; what it throws is told to the model. */
  run: (args: Arguments, context: ToolContext) => unknown;
}

/** A function the model may call. A schema checks its arguments and gives them their type. */
export function tool<Arguments>(spec: ToolSpec<StandardSchema<Arguments>, Arguments>): HostTool;
/** The same with a JSON Schema, which the engine holds the model to as far as it can. */
export function tool(spec: ToolSpec<JsonObject, JsonObject>): HostTool;
export function tool(spec: ToolSpec<StandardSchema | JsonObject, never>): HostTool {
  const { name, description, parameters } = spec;
  const run = spec.run as (args: unknown, context: ToolContext) => unknown;
  const schema = isStandardSchema(parameters) ? parameters["~standard"] : undefined;
  const jsonSchema = schema?.jsonSchema.input({ target: "draft-2020-12" }) ?? (parameters as JsonObject);
  const described = description === undefined ? { name } : { name, description };
  return {
    definition: { type: "function", function: { ...described, parameters: jsonSchema } },
    execute: async (args, context) => run(schema === undefined ? args : await checked(schema, args), context),
  };
}

/** The handler of host.call_tool for these tools; none without tools. */
export function toolHandlers(tools: readonly HostTool[]): HostHandlers {
  if (tools.length === 0) return {};
  const byName = new Map(tools.map((item) => [item.definition.function.name, item]));
  return {
    "host.call_tool": async (params: unknown, { signal }: HostRequestContext): Promise<ToolOutput> => {
      const call = readCall(params);
      const called = byName.get(call.name);
      if (called === undefined) {
        const known = [...byName.keys()].join(", ");
        throw new NotFound(`there is no tool ${JSON.stringify(call.name)}; there are ${known}`);
      }
      try {
        return { output: written(await called.execute(call.arguments, { callId: call.call_id, signal })) };
      } catch (error) {
        if (signal.aborted) throw error;
        return failure(error instanceof Error ? error.message : String(error));
      }
    },
  };
}

function isStandardSchema(parameters: StandardSchema | JsonObject): parameters is StandardSchema {
  return "~standard" in parameters;
}

function readCall(params: unknown): Pick<HostCallTool, "call_id" | "name" | "arguments"> {
  const fields: JsonObject = isRecord(params) ? params : {};
  const { call_id, name, arguments: args } = fields;
  if (typeof call_id === "string" && typeof name === "string" && isRecord(args)) {
    return { call_id, name, arguments: args };
  }
  throw new InvalidParams("host.call_tool: `call_id` and `name` must be strings, `arguments` a map");
}

async function checked(schema: StandardSchema["~standard"], args: JsonObject): Promise<unknown> {
  const result = await schema.validate(args);
  if (result.issues === undefined) return result.value;
  throw new Error(`the arguments are not valid: ${result.issues.map(describe).join("; ")}`);
}

function describe({ message, path = [] }: Issue): string {
  const steps = path.map((step) => String(typeof step === "object" ? step.key : step));
  return steps.length === 0 ? message : `${steps.join(".")}: ${message}`;
}

function written(result: unknown): string {
  if (typeof result === "string") return result;
  return result === undefined ? "" : JSON.stringify(result);
}

function failure(message: string): ToolOutput {
  return { output: message, is_error: true };
}
