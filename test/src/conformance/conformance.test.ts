import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { effectiveRules } from "@howdah/scheduler/planner/restart-rules";
import { collectRules, type Rules } from "@howdah/scheduler/planner/rules";
import { loadStack } from "@howdah/stack/load-stack";
import { readCase, readRules } from "./golden-case.js";
import { stackFolder } from "./plan-case.js";
import { runCase } from "./run-case.js";

const root = join(import.meta.dirname, "../../..");
const fixtures = join(root, "test/src/conformance/fixtures");
const golden = join(root, "../shared/data/golden");
const goldenStacks = join(root, "../shared/data/ambari/stacks");

async function casesIn(folder: string): Promise<string[]> {
  return (await readdir(folder))
    .filter((file) => file.endsWith(".json") && !file.endsWith(".rules.json"))
    .map((file) => file.slice(0, -5))
    .sort();
}

describe("our own cases", async () => {
  for (const name of await casesIn(fixtures)) {
    it(name, async () => {
      const { quirk, fixed } = await readCase(join(fixtures, `${name}.json`), name);
      const result = await runCase(fixtures, name, join(fixtures, "stacks"));
      assert.deepEqual(result.details, []);
      assert.equal(result.verdict, quirk && fixed ? "quirk" : "equal");
    });
  }
});

describe("Ambari's plans", { skip: existsSync(golden) ? false : "skipped: no data" }, async () => {
  const names = existsSync(golden) ? await casesIn(golden) : [];
  const sorted = (rules: Rules) =>
    Object.fromEntries(
      [...rules].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, set]) => [key, [...set].sort()]),
    );
  for (const name of names) {
    it(name, async () => {
      const result = await runCase(golden, name, goldenStacks);
      assert.deepEqual([result.verdict, ...result.details], ["equal"]);
      const rules = await readRules(join(golden, `${name}.rules.json`));
      assert.ok(rules?.merged && rules.effective);
      assert.deepEqual(sorted(effectiveRules(rules.merged)), sorted(rules.effective));
      const read = await readCase(join(golden, `${name}.json`), name);
      const folder = await stackFolder(read, goldenStacks);
      if (folder === undefined) return;
      const { definition } = await loadStack(folder, { packages: false });
      const merged = collectRules(definition.roleCommandOrder, read.conditions);
      assert.deepEqual(sorted(merged), sorted(rules.merged));
    });
  }
});

describe("the conformance program", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "conformance-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const run = async (...args: string[]) => {
    const main = join(import.meta.dirname, "main.js");
    const child = spawn(process.execPath, [main, ...args], {
      env: { ...process.env, INIT_CWD: folder },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text: string) => {
        output += text;
      });
    }
    const status = await new Promise<number | null>((done) => child.on("close", done));
    return { status, lines: output.trimEnd().split("\n") };
  };
  const copyCase = async (name: string, change: (golden: Record<string, unknown>) => void) => {
    const to = await mkdtemp(join(folder, "cases-"));
    await cp(join(fixtures, "stacks"), join(to, "stacks"), { recursive: true });
    await cp(join(fixtures, "common-services"), join(to, "common-services"), { recursive: true });
    const golden = JSON.parse(await readFile(join(fixtures, `${name}.json`), "utf8"));
    change(golden);
    await writeFile(join(to, `${name}.json`), JSON.stringify(golden));
    return to;
  };

  it("ends with 0 and counts when all is equal", async () => {
    const { status, lines } = await run(fixtures);
    assert.equal(status, 0);
    assert.match(lines.at(-1) ?? "", /^(\d+) of \1 plans equal$/);
    assert.match(lines.at(-2) ?? "", /^\d+ of Ambari's quirks, counted apart$/);
  });

  it("ends with 1 and says per stage what differs", async () => {
    const cases = await copyCase("o02_parent_alone", (golden) => {
      const stages = golden.expected_stages as { role: string }[][];
      for (const command of stages[1] ?? []) {
        if (command.role === "STORE_AGENT") command.role = "STORE_ANGEL";
      }
    });
    const { status, lines } = await run(cases);
    assert.equal(status, 1);
    assert.deepEqual(
      lines.map((line) => line.trim()),
      [
        "DIFFERENT o02_parent_alone (files)",
        "planned from files; expected -, planned +",
        "stage 2",
        "+ STORE_AGENT START on h2",
        "- STORE_ANGEL START on h2",
        "0 of 1 plans equal",
      ],
    );
  });

  it("takes a wrong kind of error, and a plan instead of an error, for different", async () => {
    const wrongKind = await copyCase("o14_circle_of_three_rules", (golden) => {
      golden.expected_error = { kind: "duplicate_host_role" };
    });
    assert.equal((await run(wrongKind)).status, 1);
    const wrongRoles = await copyCase("o14_circle_of_three_rules", (golden) => {
      golden.expected_error = { kind: "circular_dependency", cycle_roles: ["A", "D"] };
    });
    assert.equal((await run(wrongRoles)).status, 1);
    const noError = await copyCase("o01_child_stack_replaces_a_key", (golden) => {
      golden.expected_error = { kind: "circular_dependency" };
    });
    assert.equal((await run(noError)).status, 1);
  });

  it("lets a quirk differ, and shows both plans", async () => {
    const cases = await copyCase("o09_override_with_two_blockers", (golden) => {
      delete golden.expected_stages_if_fixed;
    });
    const { status, lines } = await run(cases);
    assert.equal(status, 0);
    assert.ok(lines.some((line) => line.trim() === "Ambari's plan"));
    assert.ok(lines.some((line) => line.trim() === "our plan"));
    assert.equal(lines.at(-1), "0 of 0 plans equal");
  });

  it("reads the stacks from --stacks, relative to the caller's folder", async () => {
    const cases = await copyCase("o02_parent_alone", () => {});
    await rm(join(cases, "stacks"), { recursive: true });
    await cp(join(fixtures, "stacks"), join(folder, "elsewhere/stacks"), { recursive: true });
    assert.equal((await run(cases)).status, 2);
    assert.equal((await run(cases, "--stacks", "elsewhere/stacks")).status, 0);
    assert.equal((await run(cases, "--stacks", "nowhere")).status, 2);
  });

  it("ends with 2 and one clear line for what it cannot use", async () => {
    const missing = await run("no-such-folder");
    assert.equal(missing.status, 2);
    assert.match(missing.lines[0] ?? "", /no-such-folder is not a folder; usage:/);
    assert.equal((await run()).status, 2);
    assert.equal((await run(fixtures, "--colour")).status, 2);
    const empty = await mkdtemp(join(folder, "empty-"));
    assert.match((await run(empty)).lines[0] ?? "", /has no CASE\.json/);
    const malformed = await copyCase("o02_parent_alone", (golden) => {
      delete (golden.commands as { role?: string }[])[1]?.role;
    });
    const { status, lines } = await run(malformed);
    assert.equal(status, 2);
    assert.match(lines[0] ?? "", /^malformed .*o02.*: commands\[1\]\.role must be a string/);
    await writeFile(join(malformed, "broken.json"), "{");
    assert.match((await run(malformed)).lines[0] ?? "", /^malformed .*broken\.json: is not JSON/);
  });
});
