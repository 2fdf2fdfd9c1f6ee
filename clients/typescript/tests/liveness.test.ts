/** When a client pings, and when it calls an engine frozen. */

import { expect, test } from "vitest";

import { DEFAULT_LIVENESS, PingWatch } from "../src/liveness.js";

function watched(): {
  pings: number[];
  watch: PingWatch;
  run: (start: number, end: number, pending?: boolean) => number[];
} {
  const pings: number[] = [];
  const liveness = { ...DEFAULT_LIVENESS, pingMs: 4, frozenMs: 8 };
  const watch = new PingWatch(liveness, (nonce) => pings.push(nonce), 0);
  const run = (start: number, end: number, pending = true): number[] => {
    const silences: number[] = [];
    for (let now = start; now < end; now += 1) {
      const silence = watch.tick(now, { pending });
      if (silence !== undefined) silences.push(silence);
    }
    return silences;
  };
  return { pings, watch, run };
}

test("silence with something pending brings one ping", () => {
  const { pings, run } = watched();
  run(1, 8);
  expect(pings).toEqual([1]);
});

test("no ping while nothing is pending or messages come", () => {
  const { pings, run, watch } = watched();
  run(1, 20, false);
  for (let now = 20; now < 40; now += 1) {
    watch.heard(now);
    watch.tick(now, { pending: true });
  }
  expect(pings).toEqual([]);
});

test("an unanswered ping is reported once", () => {
  expect(watched().run(1, 60)).toEqual([8]);
});

test("an answer ends the freeze, and the next is reported again", () => {
  const { run, watch } = watched();
  expect(run(1, 20)).toEqual([8]);
  expect(watch.heard(20)).toBe(true);
  expect(watch.heard(20)).toBe(false);
  expect(run(21, 60)).toEqual([8]);
});

test("time in which this process stood still does not count", () => {
  const { pings, run } = watched();
  run(1, 6);
  expect(pings).toEqual([1]);
  expect(run(1000, 1008)).toEqual([]);
  expect(pings).toEqual([1, 2]);
});
