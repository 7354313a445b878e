import { writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { fetcher } from "./connection/fetcher.js";
import { OutputUploads } from "./connection/output-uploads.js";
import { Reporter } from "./connection/reporter.js";
import type { LiveSession } from "./connection/session.js";
import { stayConnected } from "./connection/stay-connected.js";
import { agentFolders, createFolders, FolderError } from "./folders.js";
import { PrefixInUseError } from "./instance-lock.js";
import { JournalDamagedError, openJournal } from "./journal/journal.js";
import { openPackageCache } from "./package-cache.js";
import { resolveCommand } from "./resolve-command.js";
import { installSupervisor } from "./run/install-supervisor.js";
import { openQueue } from "./run/queue.js";
import { removeRecordFolders } from "./run/record-folders.js";
import { readSettings, SettingsError } from "./settings.js";
import { agentVersion } from "./version.js";

/** Errors that an operator can mend: told in a line each, without a stack. */
const operators = [SettingsError, FolderError, PrefixInUseError, JournalDamagedError];

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      config: { type: "string", default: "/var/lib/howdah-agent/conf/howdah-agent.ini" },
    },
  });
  const settings = readSettings(values.config);
  const folders = agentFolders(settings.prefix);
  createFolders(folders);
  const log = pino({
    level: settings.logLevel,
    base: { service: "agent", host: settings.hostName },
  });
  const stopping = new AbortController();
  const stop = (reason: string) => {
    if (stopping.signal.aborted) process.exit(1);
    log.info({ reason }, "stopping");
    stopping.abort();
  };
  const journal = await openJournal(folders, log, {
    onForgotten: (keys) => removeRecordFolders(folders, keys),
  });
  installSupervisor(folders);
  const uploads = new OutputUploads(journal, folders, log);
  const reporter = new Reporter(journal, uploads, log);
  const live: { session: LiveSession | undefined; waiters: (() => void)[] } = {
    session: undefined,
    waiters: [],
  };
  const packages = await openPackageCache(folders, fetcher(live));
  const facts = {
    hostName: settings.hostName,
    publicHostName: settings.hostName,
    cacheDir: folders.cache,
  };
  const queue = openQueue({
    journal,
    folders,
    log,
    resolve: (entry, signal) => resolveCommand(entry, signal, { folders, packages, facts }),
    settings: { python: settings.python, logLevel: settings.logLevel.toUpperCase() },
    onStarted: (entry) => reporter.started(entry),
    onEnded: (entry) => reporter.ended(entry),
    onBroken: (error) => {
      log.fatal(
        { err: error },
        "the journal cannot be written: ending, so that a new start can try again",
      );
      process.exit(1);
    },
  });
  writeFileSync(folders.pidFile, `${process.pid}\n`);
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
  log.info({ journal: journal.journalId, open: queue.open(), version: agentVersion }, "started");

  const { caFile, certFile, keyFile } = settings.server;
  await stayConnected(
    {
      addresses: settings.server.addresses,
      tls:
        caFile === undefined && certFile === undefined ? undefined : { caFile, certFile, keyFile },
      hostName: settings.hostName,
      agentVersion,
      labels: settings.labels,
      journal,
      queue,
      reporter,
      uploads,
      log,
      lastStore: { storeId: journal.entries().at(-1)?.key.storeId ?? "" },
      onLive: (session) => {
        live.session = session;
        for (const wake of live.waiters.splice(0)) wake();
      },
    },
    stopping.signal,
  );
  await queue.close();
  await journal.close();
  await rm(folders.pidFile, { force: true });
  log.info("stopped");
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    if (operators.some((kind) => error instanceof kind)) {
      process.stderr.write(`howdah-agent: ${(error as Error).message}\n`);
      process.exit(2);
    }
    process.stderr.write(`howdah-agent: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  },
);
