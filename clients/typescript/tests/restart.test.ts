import { expect, test } from "vitest";

import { RestartBudget } from "../src/restart.js";

test("so many restarts within the window and no more", () => {
  const budget = new RestartBudget({ maxRestarts: 2, withinMs: 60 });
  expect([0, 10, 20, 59].map((now) => budget.spend(now))).toEqual([true, true, false, false]);
});

test("old restarts are forgotten", () => {
  const budget = new RestartBudget({ maxRestarts: 1, withinMs: 60 });
  expect([0, 59, 60].map((now) => budget.spend(now))).toEqual([true, false, true]);
});

test("without a policy there is none", () => {
  expect(new RestartBudget(false).spend(0)).toBe(false);
});
