import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type Bench, BenchSkipped } from "./measure.js";
import { type Outcome, type RunOptions, runBenches } from "./run-benches.js";

const bench = (name: string, run: Bench["run"]): Bench => ({ name, about: name, run });
const result = { measures: [{ what: "x", unit: "s", value: 1 }], notes: [] };
const measured = (name: string) => bench(name, () => Promise.resolve(result));
const never = () => new Promise<never>(() => {});

async function run(
  benches: readonly Bench[],
  options: Partial<RunOptions> = {},
): Promise<Outcome[]> {
  const usual = { quick: true, log: () => {}, limitMs: 60_000, watchMs: 0 };
  const signal = new AbortController().signal;
  const outcomes: Outcome[] = [];
  for await (const one of runBenches(benches, { ...usual, signal, ...options })) {
    outcomes.push(one);
  }
  return outcomes;
}

describe("runBenches()", () => {
  it("should go on after one that is skipped and one that fails, and say why", async () => {
    const outcomes = await run([
      bench("queue", () => Promise.reject(new BenchSkipped("no redis"))),
      bench("idle", () => Promise.reject(new Error("no answer"))),
      measured("plan"),
    ]);
    assert.deepEqual(
      outcomes.map(({ name, skipped, failed, result }) => [name, skipped, failed, result]),
      [
        ["queue", "no redis", undefined, undefined],
        ["idle", undefined, "no answer", undefined],
        ["plan", undefined, undefined, result],
      ],
    );
    assert.ok(outcomes.every(({ load }) => Number.isFinite(load.average)));
  });

  it("should end one that takes too long, by the signal or without it, and go on", async () => {
    const obeys = bench("obeys", async ({ signal }) => {
      await once(signal, "abort");
      throw new Error("aborted");
    });
    const benches = [obeys, bench("hangs", never), measured("plan")];
    const outcomes = await run(benches, { limitMs: 200, graceMs: 20 });
    assert.deepEqual(
      outcomes.map(({ failed, result }) => failed ?? result),
      ["it was not over after 0 s", "it was not over after 0 s", result],
    );
  });

  it("should run none after an interruption, and tell of the one it met", async () => {
    const interrupted = new AbortController();
    const meets = bench("meets", async ({ signal }) => {
      interrupted.abort(new Error("ended by SIGINT"));
      signal.throwIfAborted();
      return result;
    });
    const { signal } = interrupted;
    const outcomes = await run([meets, measured("plan")], { signal });
    assert.deepEqual(
      outcomes.map(({ name, failed }) => [name, failed]),
      [["meets", "ended by SIGINT"]],
    );
    assert.deepEqual(await run([measured("plan")], { signal }), []);
  });

  it("should leave neither a file nor a process of what a benchmark leaves behind", async () => {
    let [left, pid] = ["", 0];
    let ended: Promise<unknown> | undefined;
    const before = tmpdir();
    const untidy = bench("untidy", async () => {
      left = await mkdtemp(join(tmpdir(), "left-"));
      const script = join(left, "script.cjs");
      await writeFile(script, "setInterval(() => {}, 1000);");
      const child = spawn(process.execPath, [script], { stdio: "ignore" });
      ended = once(child, "exit");
      pid = child.pid ?? 0;
      return result;
    });
    await run([untidy]);
    assert.equal(tmpdir(), before);
    assert.ok(pid > 0);
    await ended;
    await assert.rejects(access(left), { code: "ENOENT" });
  });
});
