/** The README's first example, word for word, with the real model. */

import { dirname, delimiter } from "node:path";
import { afterEach, expect, test, vi } from "vitest";

import { PYTHON } from "./support/sidecar.js";

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

test("the quick start runs", async () => {
  vi.stubEnv("PATH", dirname(PYTHON) + delimiter + String(process.env["PATH"]));
  let answer = "";
  const write = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    answer += String(text);
    return true;
  });
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await import("virtual:quick-start");
  write.mockRestore();
  expect(answer).toMatch(/photosynthesis|plants|light/i);
  expect(log).toHaveBeenCalledWith(
    expect.objectContaining({ completion_tokens: expect.any(Number) as number }),
  );
});
