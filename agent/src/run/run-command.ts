import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { joinSignals } from "@howdah/rpc/join-signals";
import type { Logger } from "pino";
import { withCommandBeingRetried } from "../command-json.js";
import type { AgentFolders } from "../folders.js";
import type { CommandResult, JournalEntry } from "../journal/entry.js";
import type { Journal } from "../journal/journal.js";
import { bootId, uptimeMs } from "../process-table.js";
import { keyText } from "../task-key.js";
import { type CommandPlan, planCommand } from "./command-plan.js";
import type { CommandSpec, ScriptSettings } from "./command-spec.js";
import { areNamesFree, type DataFiles, dataFiles, takeFileNames } from "./data-files.js";
import { diskProblem, withCutOutput } from "./disk-room.js";
import { appendOnce, closeOutput } from "./final-text.js";
import { logOutput } from "./log-output.js";
import type { ReadySupervisor } from "./ready-supervisor.js";
import { recordFolderOf } from "./record-folders.js";
import { runTries, type TriesEnd } from "./run-tries.js";
import { readStructuredOutput } from "./structured-output.js";

/** What running any command needs. */
export interface CommandContext {
  readonly journal: Journal;
  readonly folders: AgentFolders;
  readonly log: Logger;
  /**
   * Makes a journal entry's command ready: fetches what it lacks, assembles its JSON. What it throws is the command's
   * failure, its message goes to the command's errors. Not called again once the command has its plan.
   */
  readonly resolve: (entry: JournalEntry, signal: AbortSignal) => Promise<CommandSpec>;
  readonly settings?: ScriptSettings;
  readonly ready?: ReadySupervisor;
  /** Aborted when the agent stops: running steps go on, and the next agent takes them up. */
  readonly detach: AbortSignal;
}

/**
 * Runs a command that the journal holds as RUNNING to its end and returns its result, which is not in the journal yet.
 * Safe to call again after a restart of the agent, whenever the former one died. Rejects when detached.
 */
export async function runCommand(
  entry: JournalEntry,
  cancel: AbortSignal,
  context: CommandContext,
): Promise<CommandResult> {
  const { folders } = context;
  const otherBoot = entry.start?.bootId !== bootId();
  const recordFolder = recordFolderOf(folders, entry.key);
  const files = dataFiles(folders, entry.key.taskId);
  const log = context.log.child({ task: keyText(entry.key) });
  let plan: CommandPlan | undefined;
  let end: TriesEnd;
  try {
    plan = readPlan(recordFolder, otherBoot);
    if (!plan && otherBoot) {
      // Even an attempt of which nothing came has its output, and not a former one's.
      await takeNames(entry, recordFolder, context);
      end = withoutSteps("INTERRUPTED", "the host was started anew", true);
    } else {
      plan ??= await prepare(entry, recordFolder, files, cancel, context);
      end = await runTries({
        plan,
        recordFolder,
        files,
        cancel,
        otherBoot,
        detach: context.detach,
        supervisor: folders.supervisor,
        ready: context.ready,
        log,
        onWait: (record) => tellRetry(files.stdout, record, plan, log),
        onRetry: () => markRetried(files.command),
      });
    }
  } catch (error) {
    context.detach.throwIfAborted();
    log.error({ err: error }, "the command could not run");
    end = cancel.aborted
      ? withoutSteps("ABORTED", String(cancel.reason), false)
      : withoutSteps("FAILED", diskProblem(error as Error, folders.data), false);
  }
  if (end.started) end = { ...end, reason: withCutOutput(end.reason, folders.data) };
  const { noun = "Command", timeoutMs = 0, adHoc = false } = plan ?? {};
  closeOutput(files, { ...end, noun, timeoutMs, adHoc }, log);
  if (context.settings?.logOutput && plan?.logOutput !== false) logOutput(files, log);
  removeCommandFile(files, end, context);
  return resultOf(end, files, entry.start);
}

/** The result of a command that a cancel kept from starting. */
export function neverStartedResult(entry: JournalEntry): CommandResult {
  const now = Date.now();
  const uptime = uptimeMs();
  return {
    ...{ status: "ABORTED", exitCode: 1, reason: entry.cancel?.reason ?? "", started: false },
    ...{ tries: 0, startedAtMs: now, endedAtMs: now, startedUptimeMs: uptime },
    ...{ endedUptimeMs: uptime, bootId: bootId() },
    ...{ stdoutBytes: 0, stderrBytes: 0, structuredOutBytes: 0 },
  };
}

/**
 * Makes the files that a command begins with, where that moves nobody's. For the time in which the journal's entry is made durable: without
 * that entry they mean nothing, and with it they are what `runCommand` finds done.
 */
export function makeFilesAhead(
  { key }: JournalEntry,
  { folders, journal }: Pick<CommandContext, "folders" | "journal">,
): void {
  const recordFolder = recordFolderOf(folders, key);
  try {
    if (exists(recordFolder) || !areNamesFree(journal, folders, key)) return;
    mkdirSync(recordFolder, { recursive: true, mode: 0o700 });
    makeOutputs(dataFiles(folders, key.taskId));
  } catch {
    // Whatever keeps them from being made, the command meets it in its turn and tells of it.
  }
}

function makeOutputs({ stdout, stderr }: DataFiles): void {
  for (const path of [stdout, stderr]) writeFileSync(path, "", { mode: 0o600, flag: "a" });
}

/** Settles the plan and the files. Its last act is to keep the plan: no step starts before, and none of this is repeated. */
async function prepare(
  entry: JournalEntry,
  recordFolder: string,
  files: DataFiles,
  cancel: AbortSignal,
  context: CommandContext,
): Promise<CommandPlan> {
  const { folders } = context;
  await takeNames(entry, recordFolder, context);
  makeOutputs(files);
  const { signal, release } = joinSignals(cancel, context.detach);
  const spec = await context.resolve(entry, signal).finally(release);
  const plan = planCommand(spec, files, folders, context.settings);
  rmSync(files.command, { force: true });
  writeFileSync(files.command, JSON.stringify(spec.commandJson, null, 4), { mode: 0o600 });
  const path = planPath(recordFolder);
  writeFileSync(`${path}.new`, JSON.stringify(plan), { mode: 0o600 });
  renameSync(`${path}.new`, path);
  return plan;
}

/** The folder's being there says that the names are ours. */
async function takeNames(
  { key }: JournalEntry,
  recordFolder: string,
  { folders, journal }: CommandContext,
): Promise<void> {
  if (exists(recordFolder)) return;
  await takeFileNames(journal, folders, key);
  mkdirSync(recordFolder, { recursive: true, mode: 0o700 });
}

function readPlan(recordFolder: string, otherBoot: boolean): CommandPlan | undefined {
  try {
    return JSON.parse(readFileSync(planPath(recordFolder), "utf8")) as CommandPlan;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    if (error instanceof SyntaxError && otherBoot) return undefined; // the power went before it was on disk
    throw error;
  }
}

function planPath(recordFolder: string): string {
  return join(recordFolder, "plan.json");
}

/** Says in the output that another try follows, once. */
function tellRetry(
  stdoutPath: string,
  record: string,
  plan: CommandPlan | undefined,
  log: Logger,
): void {
  if (plan?.adHoc || exists(record)) return;
  try {
    appendOnce(stdoutPath, "\n\nCommand failed. Retrying command execution ...\n\n");
  } catch (error) {
    log.warn({ err: error }, "the output could not be written");
  }
}

/** Does as the ini file says with the command file; nothing reads it any more. */
function removeCommandFile(
  files: DataFiles,
  { status }: TriesEnd,
  { settings = {}, log }: CommandContext,
): void {
  const { commandFiles = "keep" } = settings;
  if (commandFiles === "keep" || (commandFiles !== "remove" && status !== "COMPLETED")) return;
  try {
    rmSync(files.command, { force: true });
  } catch (error) {
    log.warn({ err: error, file: files.command }, "a command file could not be removed");
  }
}

/** Scripts are told that they run again, as Ambari tells them. */
function markRetried(commandPath: string): void {
  // An agent that died right after it removed the file looks at its command's tries once more.
  if (!exists(commandPath)) return;
  const json = withCommandBeingRetried(JSON.parse(readFileSync(commandPath, "utf8")));
  writeFileSync(`${commandPath}.new`, JSON.stringify(json, null, 4), { mode: 0o600 });
  renameSync(`${commandPath}.new`, commandPath);
}

function withoutSteps(status: TriesEnd["status"], reason: string, started: boolean): TriesEnd {
  return { status, exitCode: 1, reason, tries: 1, started, endedUptimeMs: uptimeMs() };
}

function resultOf(end: TriesEnd, files: DataFiles, start: JournalEntry["start"]): CommandResult {
  const now = Date.now();
  const nowUptime = uptimeMs();
  return {
    status: end.status,
    exitCode: end.exitCode,
    reason: end.reason,
    started: end.started,
    tries: end.tries,
    startedAtMs: start?.atMs ?? now,
    // The wall clock of the moment the exit record names.
    endedAtMs: now - Math.max(0, nowUptime - end.endedUptimeMs),
    startedUptimeMs: start?.uptimeMs ?? nowUptime,
    endedUptimeMs: end.endedUptimeMs,
    bootId: bootId(),
    stdoutBytes: sizeOf(files.stdout),
    stderrBytes: sizeOf(files.stderr),
    structuredOutBytes: Buffer.byteLength(readStructuredOutput(files.structuredOut)),
  };
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
