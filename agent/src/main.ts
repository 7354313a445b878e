import { writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { parseArgs } from "node:util";
import { TlsFileError } from "@howdah/rpc/tls";
import { pino } from "pino";
import { ambariVariables } from "./ambari-variables.js";
import { startCleaner } from "./clean/cleaner.js";
import { createUseMarks } from "./clean/use-marks.js";
import { createSessionSlot, fetcher } from "./connection/fetcher.js";
import { Reporter } from "./connection/reporter.js";
import { connectionTo, type Servers, stayConnected } from "./connection/stay-connected.js";
import { agentFolders, createFolders, FolderError } from "./folders.js";
import { PrefixInUseError } from "./instance-lock.js";
import type { JournalEntry } from "./journal/entry.js";
import { JournalDamagedError, openJournal } from "./journal/journal.js";
import { JournalBrokenError } from "./journal/journal-file.js";
import { isJsonObject } from "./json.js";
import { openPackageCache } from "./package-cache.js";
import { resolveCommand } from "./resolve-command.js";
import { installSupervisor } from "./run/install-supervisor.js";
import { openQueue } from "./run/queue.js";
import { removeRecordFolders } from "./run/record-folders.js";
import { readSettings, type Settings, SettingsError } from "./settings.js";
import { removeLeftChecks } from "./status/check-files.js";
import { componentOf, isAbout } from "./status/component-of.js";
import { StatusChecks } from "./status/status-checks.js";
import { keyText } from "./task-key.js";
import { agentVersion } from "./version.js";

const defaultConfig = "/var/lib/howdah-agent/conf/howdah-agent.ini";

/** Errors that an operator can mend: told in a line each, without a stack. */
const operators = [
  ...[SettingsError, FolderError, PrefixInUseError, JournalDamagedError],
  TlsFileError,
];

function configFile(): string {
  try {
    const { values } = parseArgs({
      options: { config: { type: "string", default: defaultConfig } },
    });
    return values.config;
  } catch (error) {
    const [what] = (error as Error).message.split(". ");
    throw new SettingsError([`${what}; the only option is --config FILE`]);
  }
}

function serversOf({ server }: Settings): Servers {
  const { addresses, caFile, certFile, keyFile } = server;
  const files = { caFile, certFile, keyFile };
  const plaintext = Object.values(files).every((file) => file === undefined);
  const servers = { addresses, tls: plaintext ? undefined : files };
  // Whatever the files lack is said now, not in the log of a connection that never comes about.
  for (const address of addresses) connectionTo(address, servers.tls).close();
  return servers;
}

/** Background commands run beside the others, which wait for each other. */
function laneOf({ key, command }: JournalEntry): string {
  const spec = isJsonObject(command) ? command.spec : undefined;
  return isJsonObject(spec) && spec.background === true ? `background ${keyText(key)}` : "commands";
}

async function main(): Promise<void> {
  const iniFile = configFile();
  const settings = readSettings(iniFile);
  const servers = serversOf(settings);
  const folders = agentFolders(settings.prefix, settings.folders);
  createFolders(folders);
  const log = pino({
    level: settings.log.level,
    base: { service: "agent", host: settings.hostName },
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
  installSupervisor(folders);
  await removeLeftChecks(folders, log);
  const reporter = new Reporter(journal, log, (entry) => status.recorded(componentOf(entry)));
  const sessions = createSessionSlot();
  const marks = createUseMarks();
  const packages = await openPackageCache(folders, fetcher(sessions, log), marks);
  const facts = {
    hostName: settings.hostName,
    publicHostName: settings.hostName,
    cacheDir: folders.cache,
    scriptVariables: ambariVariables(settings, iniFile),
  };
  const scripts = { python: settings.python, logLevel: settings.log.level.toUpperCase() };
  const status = new StatusChecks({
    ...{ folders, packages, facts, log, settings: scripts },
    intervalMs: settings.componentStatusIntervalMs,
    busy: (name) => queue.openEntries().some((entry) => isAbout(entry, name)),
  });
  const queue = openQueue({
    ...{ journal, folders, log, laneOf, onBroken, settings: scripts },
    async resolve(entry, signal) {
      await status.standAside(componentOf(entry));
      return resolveCommand(entry, signal, { folders, packages, facts });
    },
    onStarted: (entry) => reporter.started(entry),
    onEnded(entry) {
      reporter.ended(entry);
      status.ended(componentOf(entry));
    },
  });
  writeFileSync(folders.pidFile, `${process.pid}\n`);
  const cleaner = startCleaner({ folders, journal, marks, log, settings: settings.clean });
  log.info({ journal: journal.journalId, open: queue.open(), version: agentVersion }, "started");

  await stayConnected(
    {
      ...servers,
      ...{ agentVersion, journal, folders, queue, reporter, status, log },
      hostName: settings.hostName,
      labels: settings.labels,
      lastStore: { storeId: journal.entries().at(-1)?.key.storeId ?? "" },
      onLive: (session) => sessions.set(session),
      onJournalError: (error) => {
        if (error instanceof JournalBrokenError) onBroken(error);
        log.error({ err: error }, "the journal did not take what the server said");
      },
    },
    stopping.signal,
  );
  await Promise.all([queue.close(), status.close(), cleaner.close()]);
  await journal.close();
  await rm(folders.pidFile, { force: true });
  log.info("stopped");
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    const known = operators.some((kind) => error instanceof kind);
    const text = error instanceof Error ? (known ? error.message : error.stack) : String(error);
    for (const line of (text ?? "").split("\n")) process.stderr.write(`howdah-agent: ${line}\n`);
    process.exit(known ? 2 : 1);
  },
);
