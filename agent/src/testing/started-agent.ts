import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { type AgentFolders, agentFolders } from "../folders.js";
import { applyRecord, asRecord, emptyState, type JournalEntry } from "../journal/entry.js";
import { scanJournal } from "../journal/record-lines.js";
import { readSettings } from "../settings.js";
import { until } from "./test-agent.js";

const main = fileURLToPath(new URL("../main.js", import.meta.url));

/** The real agent as a process of its own, which can be killed and started again under the same prefix. */
export interface StartedAgent {
  readonly folders: AgentFolders;
  /** What it has logged, all starts together. */
  readonly log: Record<string, unknown>[];
  readonly errors: () => string;
  /** Its process. */
  process(): ChildProcess;
  /** Starts it; it must not run. With another program it is an upgrade. Default: what is compiled here. */
  start(program?: string): void;
  /** Ends it and waits for its end; resolves with its exit code, or the signal. */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<number | string>;
  /** Waits until it ends by itself; resolves with its exit code, or the signal. */
  ended(): Promise<number | string>;
  /** What its journal says now, read from the disk. */
  journal(): JournalEntry[];
  /** An attempt's entry in its journal. */
  entry(taskId: number, attempt?: number): JournalEntry | undefined;
}

/** How the agents of a test are ended. What a test does at its end happens in the order it was asked for: a folder would be removed under its agent. */
const endsOf = new WeakMap<TestContext, (() => Promise<void>)[]>();

async function endAgents(t: TestContext): Promise<void> {
  await Promise.all((endsOf.get(t) ?? []).map((end) => end()));
}

/** A prefix of its own with an ini file, removed when the test ends, after the test's agents have ended. */
export function agentPrefix(t: TestContext, ini: string): { prefix: string; iniFile: string } {
  const prefix = mkdtempSync(join(tmpdir(), "howdah-agent-"));
  t.after(async () => {
    await endAgents(t);
    rmSync(prefix, { recursive: true, force: true, maxRetries: 5 });
  });
  mkdirSync(join(prefix, "conf"));
  const iniFile = join(prefix, "conf", "howdah-agent.ini");
  writeFileSync(iniFile, ini.replaceAll("PREFIX", prefix));
  return { prefix, iniFile };
}

/** Starts an agent for a server until the test ends. */
export function startAgent(t: TestContext, address: string): StartedAgent {
  const { iniFile } = agentPrefix(
    t,
    `[server]\naddress = ${address}\n[agent]\nhostname = Web-1\nprefix = PREFIX\nlog_level = debug\n[labels]\nrack = r12\n`,
  );
  return startAgentWith(t, iniFile);
}

/** Starts an agent with an ini file until the test ends; `environment` is added to its own. */
export function startAgentWith(
  t: TestContext,
  iniFile: string,
  environment: Readonly<Record<string, string>> = {},
): StartedAgent {
  const settings = readSettings(iniFile);
  const folders = agentFolders(settings.prefix, settings.folders);
  const log: Record<string, unknown>[] = [];
  let errors = "";
  let child: ChildProcess;

  function start(program = main): void {
    child = spawn(process.execPath, ["--enable-source-maps", program, "--config", iniFile], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment },
    });
    let rest = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const lines = `${rest}${text}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) log.push(JSON.parse(line));
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
    });
  }

  async function ended(): Promise<number | string> {
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    return child.exitCode ?? child.signalCode ?? -1;
  }

  function journal(): JournalEntry[] {
    const state = emptyState();
    const { records } = scanJournal(readFileSync(join(folders.journal, "journal")));
    for (const { value } of records) applyRecord(state, asRecord(value));
    return [...state.entries.values()];
  }

  start();
  const ends = endsOf.get(t) ?? [];
  endsOf.set(t, ends);
  ends.push(async () => {
    child.kill("SIGKILL");
    await ended();
  });
  t.after(() => endAgents(t));
  return {
    ...{ folders, log, start, ended, journal },
    errors: () => errors,
    process: () => child,
    end: (signal) => {
      child.kill(signal);
      return ended();
    },
    entry: (taskId, attempt = 1) =>
      journal().find(({ key }) => key.taskId === String(taskId) && key.attempt === attempt),
  };
}

/** Waits until the journal on the disk has acknowledged an attempt. */
export function acknowledged(agent: StartedAgent, taskId: number, attempt = 1) {
  return until(
    () => agent.entry(taskId, attempt)?.acknowledgedAtMs != null,
    `task ${taskId} to be acknowledged in the journal`,
  );
}

/** Runs the agent to its end with an ini file; resolves with its exit code and what it wrote to stderr. */
export async function runAgent(
  ...args: string[]
): Promise<{ code: number | null; stderr: string; stdout: string }> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (more: string) => {
      text[name] += more;
    });
  }
  const [code] = await once(child, "close");
  return { code: code as number | null, ...text };
}
