import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { Alerts } from "../alerts/alerts.js";
import { type AgentFolders, agentFolders, createFolders } from "../folders.js";
import type { JournalEntry } from "../journal/entry.js";
import { type JournalOptions, openJournal } from "../journal/open-journal.js";
import type { CommandSpec } from "../run/command-spec.js";
import { installSupervisor } from "../run/install-supervisor.js";
import { type CommandQueue, openQueue, type QueueOptions } from "../run/queue.js";
import { createReadySupervisor } from "../run/ready-supervisor.js";
import { scriptEnvironment } from "../run/script-environment.js";
import { StatusChecks } from "../status/status-checks.js";
import { keyText, type TaskKey } from "../task-key.js";
import { testStore } from "./test-store.js";

/** A log that says nothing. */
export const silent = pino({ level: "silent" });

/** An agent's folders in a fresh temporary place; `remove` deletes them. */
export function temporaryFolders(): { folders: AgentFolders; remove: () => void } {
  const prefix = mkdtempSync(join(tmpdir(), "howdah-agent-"));
  const folders = agentFolders(prefix);
  createFolders(folders);
  installSupervisor(folders);
  return { folders, remove: () => rmSync(prefix, { recursive: true, force: true }) };
}

/** A key of one store; attempt 1 unless told. */
export function testKey(taskId: number, attempt = 1): TaskKey {
  return { storeId: testStore, taskId: String(taskId), attempt };
}

/** A command that runs a line of shell. */
export function shellCommand(
  key: TaskKey,
  line: string,
  more: Partial<CommandSpec> = {},
): CommandSpec {
  return {
    key,
    role: "SCRIPT",
    roleCommand: "EXECUTE",
    serviceName: "",
    commandParams: {},
    run: { kind: "shell", line },
    timeoutMs: 60_000,
    commandJson: { taskId: Number(key.taskId) },
    environment: {},
    ...more,
  };
}

/** A command that runs a line of shell as a package's script, with hooks. */
export function asJsonCommand(spec: CommandSpec) {
  return JSON.parse(JSON.stringify(spec));
}

/** A journal and a queue whose commands are `CommandSpec`s themselves. */
export async function startTestAgent(
  folders: AgentFolders,
  more: Partial<QueueOptions> = {},
  journalOptions: JournalOptions = {},
): Promise<TestAgent> {
  const journal = await openJournal(folders, silent, journalOptions);
  const ready = createReadySupervisor({
    ...{ supervisor: folders.supervisor, cwd: folders.prefix },
    environment: scriptEnvironment(folders, "", {}),
  });
  const queue = openQueue({
    journal,
    folders,
    ready,
    log: silent,
    resolve: async ({ command }) => command as unknown as CommandSpec,
    onBroken: (error) => {
      throw error;
    },
    ...more,
  });
  return {
    journal,
    queue,
    run: async (spec) => {
      await queue.accept(spec.key, asJsonCommand(spec));
      await queue.idle();
      return ended(journal.entry(spec.key), spec.key);
    },
    stop: async () => {
      await queue.close();
      await ready.close();
      await journal.close();
    },
  };
}

/** Checks of no component's status. */
export function idleChecks(folders: AgentFolders): StatusChecks {
  const none = () => Promise.reject(new Error("nothing can be fetched"));
  return new StatusChecks({
    ...{ folders, log: silent, settings: {}, intervalMs: 60_000, busy: () => false },
    packages: { folder: none, document: none },
    facts: { hostName: "h", publicHostName: "h", cacheDir: folders.cache },
  });
}

/** Watches no alert. */
export function idleAlerts(folders: AgentFolders): Alerts {
  const none = () => Promise.reject(new Error("nothing can be fetched"));
  return new Alerts({
    ...{ folders, log: silent, settings: {}, changes: silent, agentId: "a" },
    packages: { folder: none, document: none },
    facts: { hostName: "h", publicHostName: "h", cacheDir: folders.cache },
  });
}

/** A running agent without a network. */
export interface TestAgent {
  readonly journal: Awaited<ReturnType<typeof openJournal>>;
  readonly queue: CommandQueue;
  /** Accepts a command and waits until nothing is left to run. */
  run(spec: CommandSpec): Promise<JournalEntry & { result: NonNullable<JournalEntry["result"]> }>;
  stop(): Promise<void>;
}

function ended(entry: JournalEntry | undefined, key: TaskKey) {
  if (!entry?.result) throw new Error(`${keyText(key)} has no result`);
  return { ...entry, result: entry.result };
}

/** Waits until `look` returns something; fails after 30 s. */
export async function until<T>(look: () => T | undefined | false, what: string): Promise<T> {
  for (const began = performance.now(); performance.now() - began < 30_000; ) {
    const found = look();
    if (found) return found;
    await sleep(5);
  }
  throw new Error(`waited 30 s in vain for ${what}`);
}

/** A file's text, empty when it is missing. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
