import { writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { StatusCheck } from "@howdah/proto/howdah/v1/command";
import { TlsFileError } from "@howdah/rpc/tls";
import { type Logger, pino } from "pino";
import { Alerts } from "./alerts/alerts.js";
import { ambariVariables } from "./ambari-variables.js";
import { startCleaner } from "./clean/cleaner.js";
import { createUseMarks } from "./clean/use-marks.js";
import { closeInherited } from "./close-inherited.js";
import { type CommandLine, foldersForShell, readCommandLine } from "./command-line.js";
import { fileOutput } from "./connection/attempt-output.js";
import { createSessionSlot, fetcher } from "./connection/fetcher.js";
import { Reporter } from "./connection/reporter.js";
import { connectionTo, type Servers, stayConnected } from "./connection/stay-connected.js";
import {
  type AgentFolders,
  agentFolders,
  createFolders,
  DiskError,
  FolderError,
  folderTrouble,
} from "./folders.js";
import { agentEnv } from "./host/agent-env.js";
import { createBoundedRunner } from "./host/bounded-run.js";
import { gatherHostFacts } from "./host/host-facts.js";
import { HostStatus } from "./host/host-status.js";
import { createReadHost } from "./host/read-host.js";
import { createWatchedProcesses } from "./host/watched-processes.js";
import { PrefixInUseError } from "./instance-lock.js";
import { JournalBrokenError } from "./journal/journal-file.js";
import { JournalDamagedError, openJournal } from "./journal/open-journal.js";
import { openLogFile } from "./log-file.js";
import { systemNames } from "./os-packages.js";
import { openPackageCache } from "./package-cache.js";
import { Recovery } from "./recovery/recovery.js";
import { ResetRefusedError, resetAgent } from "./reset-agent.js";
import { agentVariables, resolveCommand } from "./resolve-command.js";
import { installScripts } from "./run/install-supervisor.js";
import { laneOf } from "./run/lane-of.js";
import { openQueue } from "./run/queue.js";
import { createReadySupervisor } from "./run/ready-supervisor.js";
import { removeRecordFolders } from "./run/record-folders.js";
import { scriptEnvironment } from "./run/script-environment.js";
import { readSettings, type Settings, SettingsError } from "./settings.js";
import { removeLeftChecks } from "./status/check-files.js";
import { componentOf, isAbout } from "./status/component-of.js";
import { StatusChecks, type TellStatuses } from "./status/status-checks.js";
import { agentVersion } from "./version.js";

/** Errors that an operator has to mend before another start: told in a line each, without a stack. */
const operators = [
  ...[SettingsError, FolderError, PrefixInUseError, JournalDamagedError],
  ...[TlsFileError, ResetRefusedError],
];

/** What of the host takes longer to find out is told by the next registration. */
const factsWaitMs = 1_000;

function serversOf({ server }: Settings): Servers {
  const { addresses, caFile, certFile, keyFile } = server;
  const files = { caFile, certFile, keyFile };
  const plaintext = Object.values(files).every((file) => file === undefined);
  const servers = { addresses, tls: plaintext ? undefined : files };
  // Whatever the files lack is said now, not in the log of a connection that never comes about.
  for (const address of addresses) connectionTo(address, servers.tls).close();
  return servers;
}

async function main(): Promise<void> {
  closeInherited();
  const commandLine = readCommandLine(process.argv.slice(2));
  if (commandLine.action === "version") return say([agentVersion]);
  const settings = readSettings(commandLine.config);
  const folders = agentFolders(settings.prefix, settings.folders);
  if (commandLine.action === "print-folders") return say([foldersForShell(folders).trimEnd()]);
  if (commandLine.action === "run") return run(commandLine, settings, folders);
  const log = pino({ level: "warn" });
  say(await resetAgent(folders, log, commandLine));
}

function say(lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`${line}\n`);
}

/** Logs to the standard output, or to a file of its own, which begins anew at SIGHUP when it was moved away. */
function openLog(
  name: string,
  commandLine: CommandLine,
  settings: Settings,
  folders: AgentFolders,
): Logger {
  const options = {
    level: settings.log.level,
    base: { service: "agent", host: settings.hostName },
  };
  if (!commandLine.logFile) return pino(options);
  const path = join(folders.log, name);
  try {
    const file = openLogFile(path, settings.log);
    process.on("SIGHUP", () => file.reopen());
    return pino(options, file);
  } catch (error) {
    throw folderTrouble(`the log ${path}`, error);
  }
}

async function run(
  commandLine: CommandLine,
  settings: Settings,
  folders: AgentFolders,
): Promise<void> {
  const servers = serversOf(settings);
  createFolders(folders);
  const log = openLog("howdah-agent.log", commandLine, settings, folders);
  const alertLog = openLog("howdah-alerts.log", commandLine, settings, folders);
  const runner = createBoundedRunner();
  const processes = createWatchedProcesses();
  const hostFacts = gatherHostFacts({
    ...{ runner, processes },
    ...{ prefix: folders.prefix, dataFolder: folders.data, log },
    ...{ hostName: settings.hostName, publicHostName: settings.publicHostName },
    overrides: settings.resourceOverrides,
  });
  const journal = await openJournal(folders, log, {
    onForgotten: (keys) => removeRecordFolders(folders, keys),
  });
  const stopping = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"]) {
    process.on(signal, () => {
      if (stopping.signal.aborted) process.exit(1);
      log.info({ reason: signal }, "stopping");
      stopping.abort();
    });
  }
  const onBroken = (error: Error) => {
    log.fatal({ err: error }, "ending, so that a new start can try again");
    process.exit(1);
  };
  const marks = createUseMarks();
  // Before whatever needs room on the disk: it makes some.
  const cleaner = startCleaner({ folders, journal, marks, log, settings: settings.clean });
  await installScripts(folders, cleaner.cleaned);
  await removeLeftChecks(folders, log);
  const reporter = new Reporter(journal, log, (entry) => status.recorded(componentOf(entry)));
  const sessions = createSessionSlot();
  const packages = await openPackageCache(folders, fetcher(sessions, log), marks);
  const facts = {
    hostName: settings.hostName,
    publicHostName: settings.publicHostName,
    cacheDir: folders.cache,
    useSystemProxySettings: settings.scripts.useSystemProxySettings,
    parallelExecution: settings.scripts.parallelExecution,
    scriptVariables: ambariVariables(settings, commandLine.config),
    hostLevelParams: (clusterId: string) => recovery.hostLevelParams(clusterId),
    get systemNames() {
      return systemNames(hostFacts.system);
    },
  };
  const scripts = {
    ...settings.scripts,
    ...{ python: settings.python, logLevel: settings.log.level.toUpperCase() },
  };
  const status = new StatusChecks({
    ...{ folders, packages, facts, log, settings: scripts },
    intervalMs: settings.componentStatusIntervalMs,
    busy: (name) =>
      recovery.busy(name) || queue.openEntries().some((entry) => isAbout(entry, name)),
    found: (check, state) => recovery.found(check, state),
  });
  const recovery: Recovery = new Recovery({
    ...{ folders, packages, facts, log, status, settings: scripts },
    openEntries: () => queue.openEntries(),
  });
  const checks = await recovery.restore(journal.entries());
  const alerts = new Alerts({
    ...{ folders, packages, facts, log, settings: scripts, changes: alertLog },
    agentId: journal.agentId,
    recovery: (clusterId, componentName) => recovery.counts(clusterId, componentName),
  });
  await alerts.restore();
  const ready = createReadySupervisor({
    ...{ supervisor: folders.supervisor, cwd: folders.prefix },
    environment: scriptEnvironment(folders, "", agentVariables(folders, facts)),
  });
  const queue = openQueue({
    ...{ journal, folders, log, laneOf, onBroken, ready, settings: scripts },
    async resolve(entry, signal) {
      await status.standAside(componentOf(entry));
      return resolveCommand(entry, signal, { folders, packages, facts });
    },
    onQueued: (entry) => recovery.commanded(entry),
    mayStart: (entry) => recovery.mayStart(entry),
    onStarted: (entry) => reporter.started(entry),
    onEnded(entry) {
      reporter.ended(entry);
      recovery.commandEnded(entry);
      status.ended(componentOf(entry));
    },
  });
  status.command(checks);
  const lastStore = { storeId: journal.entries().at(-1)?.key.storeId ?? "" };
  const sessionStatus = {
    command: (named: readonly StatusCheck[]) => recovery.command(named, lastStore.storeId),
    connected(tell: TellStatuses) {
      recovery.meets(lastStore.storeId);
      status.connected(tell);
    },
    disconnected: () => status.disconnected(),
  };
  const hostStatus = new HostStatus({
    read: createReadHost({ dataFolder: folders.data, runner, processes }),
    agentEnv: () => agentEnv(processes(), hostFacts.reverseLookup, Date.now()),
    log,
  });
  writePidFile(folders, log);
  log.info({ journal: journal.journalId, open: queue.open(), version: agentVersion }, "started");

  await Promise.race([hostFacts.gathered, sleep(factsWaitMs, undefined, { ref: false })]);
  await stayConnected(
    {
      ...servers,
      ...{ agentVersion, journal, queue, reporter, alerts, hostStatus, log, lastStore },
      status: sessionStatus,
      output: fileOutput(folders, log),
      hostName: settings.hostName,
      labels: settings.labels,
      factsJson: () => hostFacts.json(),
      onLive: (session) => sessions.set(session),
      onJournalError: (error) => {
        if (error instanceof JournalBrokenError) onBroken(error);
        log.error({ err: error }, "the journal did not take what the server said");
      },
    },
    stopping.signal,
  );
  hostStatus.close();
  const parts = [queue, ready, recovery, status, alerts, cleaner];
  await Promise.all(parts.map((part) => part.close()));
  await journal.close();
  await rm(folders.pidFile, { force: true });
  log.info("stopped");
}

/** For people and their tools. Which process is the agent is told by its lock, so one that cannot be written for want of room is no harm. */
function writePidFile({ pidFile }: AgentFolders, log: Logger): void {
  try {
    writeFileSync(pidFile, `${process.pid}\n`);
  } catch (error) {
    log.warn({ err: error }, "the pid file cannot be written");
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    const toMend = operators.some((kind) => error instanceof kind);
    const known = toMend || error instanceof DiskError;
    const text = error instanceof Error ? (known ? error.message : error.stack) : String(error);
    for (const line of (text ?? "").split("\n")) process.stderr.write(`howdah-agent: ${line}\n`);
    process.exit(toMend ? 2 : 1);
  },
);
