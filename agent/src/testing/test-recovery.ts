import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { StatusCheck } from "@howdah/proto/howdah/v1/command";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { pino } from "pino";
import type { AgentFolders } from "../folders.js";
import type { JournalEntry } from "../journal/entry.js";
import type { JsonObject } from "../json.js";
import type { AutoContext } from "../recovery/auto-command.js";
import { Recovery } from "../recovery/recovery.js";
import { temporaryFolders, textOf, until } from "./test-agent.js";
import { checkOf, packageDigest } from "./test-checks.js";

const { STARTED, INSTALLED } = ComponentState;
const minute = 60_000;

/** Recovery with real scripts, and a clock that the test sets. */
export interface TestRecovery {
  readonly folders: AgentFolders;
  readonly recovery: Recovery;
  /** What it runs its commands with. */
  readonly context: AutoContext;
  /** The server's commands that wait or run. */
  readonly open: JournalEntry[];
  /** What the packages' source was asked, and what it waits for before it answers. */
  readonly fetching: { asked: boolean; over: Promise<void> };
  /** Lines of the log. */
  readonly logged: Record<string, unknown>[];
  /** The components that are to be checked again, in order. */
  readonly again: string[];
  /** A check of a component, wanted STARTED by request 5. */
  check(name: string): StatusCheck;
  /** `NN START`, by the scripts. */
  lines(): string[];
  /** How often `recovering a component` was logged. */
  begun(): number;
  /** Finds NN down at a minute of the clock. */
  find(atMinute: number): void;
  /** The same; resolves when that was considered and what came of it is over. For when no command is in the way of all. */
  down(atMinute: number): Promise<void>;
}

/** Makes it, with NN, DN and JN on this host; it is closed and its files removed when the test ends. */
export function testRecovery(
  t: TestContext,
  environment: Record<string, string> = {},
  { document = {} }: { readonly document?: JsonObject } = {},
): TestRecovery {
  const { folders, remove } = temporaryFolders();
  const here = join(folders.cache, "packages", packageDigest);
  mkdirSync(join(here, "scripts"), { recursive: true });
  const calls = join(folders.tmp, "calls");
  for (const name of ["NN", "DN", "JN"]) {
    writeFileSync(join(here, "scripts", `${name}.sh`), `echo ${name} $1 >> ${calls}\nexit 1\n`);
  }
  const clock = { nowMs: 5_000 };
  const fetching: TestRecovery["fetching"] = { asked: false, over: Promise.resolve() };
  const logged: Record<string, unknown>[] = [];
  const again: string[] = [];
  const open: JournalEntry[] = [];
  const context: AutoContext = {
    folders,
    packages: {
      async folder() {
        fetching.asked = true;
        await fetching.over;
        return here;
      },
      document: async () => ({
        configurations: { "cluster-env": { recovery_enabled: "true", ...environment } },
        ...document,
      }),
    },
    facts: { hostName: "web-1", publicHostName: "web-1", cacheDir: folders.cache },
    settings: {},
    log: pino({}, { write: (line: string) => logged.push(JSON.parse(line)) }),
  };
  const recovery = new Recovery({
    ...context,
    status: {
      command: () => undefined,
      standAside: async () => undefined,
      ended: () => undefined,
      checkAgain: (name) => void again.push(name?.componentName ?? ""),
    },
    openEntries: () => open,
    now: () => clock.nowMs,
  });
  t.after(async () => {
    await recovery.close();
    remove();
  });
  const wanted = { desiredState: STARTED, desiredRequestId: 5n, recoveryEnabled: true };
  const check = (name: string) =>
    checkOf(name, {}, { configurationsDigest: "d".repeat(64), ...wanted });
  recovery.command([check("NN"), check("DN"), check("JN")], "s");
  const find = (atMinute: number) => {
    clock.nowMs = 5_000 + atMinute * minute;
    recovery.found(check("NN"), INSTALLED);
  };
  return {
    ...{ folders, recovery, context, open, logged, again, check, fetching, find },
    lines: () => textOf(calls).split("\n").slice(0, -1),
    begun: () => logged.filter(({ msg }) => msg === "recovering a component").length,
    async down(atMinute) {
      let looked: string[];
      do {
        const before = again.length;
        find(atMinute);
        // It comes after NN, and is only looked at again: when nothing more comes of NN.
        recovery.found(check("JN"), INSTALLED);
        await until(() => again.slice(before).includes("JN"), "the end of NN's turn");
        looked = again.slice(before);
      } while (looked.includes("NN")); // it had no turn: an earlier one was not over
    },
  };
}
