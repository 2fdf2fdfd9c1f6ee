/** Answers of a chat, as the engine would send them. */

export const QUEUED = { type: "queued", position: 2 };

export const COMPLETION = {
  id: "c",
  object: "chat.completion",
  created: 1,
  model: "m",
  choices: [{ index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" }],
  usage: {
    prompt_tokens: 1,
    completion_tokens: 2,
    total_tokens: 3,
    prompt_tokens_details: { cached_tokens: 0 },
  },
  timings: { queued_ms: 0, prefill_ms: 1.5, decode_ms: 2 },
};

export function chunk(content: string, choice = 0): unknown {
  return {
    type: "chunk",
    chunk: {
      id: "c",
      object: "chat.completion.chunk",
      created: 1,
      model: "m",
      choices: [{ index: choice, delta: { content } }],
    },
  };
}
