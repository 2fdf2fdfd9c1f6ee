/** The examples of the README, which are run as they stand there. */

import { readFileSync } from "node:fs";

/** Its blocks of TypeScript, in their order. */
export function readmeExamples(): string[] {
  const text = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  return [...text.matchAll(/```ts\n([^]*?)```/g)].map(([, example = ""]) => example);
}
