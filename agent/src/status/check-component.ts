import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { CommandSpec, StatusCheck } from "@howdah/proto/howdah/v1/command";
import type { Logger } from "pino";
import { type AgentFacts, assembleCommandJson } from "../command-json.js";
import type { AgentFolders } from "../folders.js";
import type { JsonObject } from "../json.js";
import type { PackageCache } from "../package-cache.js";
import {
  agentVariables,
  commandParamsOf,
  readDocuments,
  scriptRunOf,
  timeoutOf,
} from "../resolve-command.js";
import { scriptArgv } from "../run/command-plan.js";
import type { ScriptSettings } from "../run/command-spec.js";
import { scriptEnvironment, taskVariable } from "../run/script-environment.js";
import { checkFiles, checkTag, removeCheckFiles } from "./check-files.js";
import { type CheckEnd, CheckNotMadeError, runCheck } from "./run-check.js";

/** What checking a component needs. */
export interface CheckContext {
  readonly folders: AgentFolders;
  readonly packages: PackageCache;
  readonly facts: AgentFacts;
  readonly settings: ScriptSettings;
  readonly log: Logger;
}

/** Reads a document by its digest. */
export type ReadDocument = (digest: string) => Promise<JsonObject>;

/**
 * Fetches what a check needs and this host lacks, waiting for a server as long as there is none. Throws what says why it cannot be had.
 */
export async function fetchForCheck(
  check: StatusCheck,
  signal: AbortSignal,
  readDocument: ReadDocument,
  packages: PackageCache,
): Promise<void> {
  await Promise.all([
    readDocuments(check, readDocument),
    scriptRunOf(scriptOnly(check), packages, signal),
  ]);
}

/** No hooks run for a check. */
function scriptOnly({ spec }: StatusCheck): CommandSpec {
  if (spec === undefined) throw new CheckNotMadeError("the server does not say what to run");
  return { ...spec, hooksDigest: "" };
}

/**
 * Runs a component's script with STATUS. Its files are gone when the promise settles. Throws what says why the check could not be made.
 */
export async function checkComponent(
  check: StatusCheck,
  signal: AbortSignal,
  readDocument: ReadDocument,
  { folders, packages, facts, settings, log }: CheckContext,
): Promise<CheckEnd> {
  const spec = scriptOnly(check);
  const id = randomUUID();
  const files = checkFiles(folders, id);
  const [documents, run] = await Promise.all([
    readDocuments(check, readDocument),
    scriptRunOf(spec, packages, signal),
  ]);
  const argv = scriptArgv(run, "STATUS", files, folders, settings);
  // Fewer keys than a command has: a check is no task and belongs to no request.
  const header: JsonObject = {
    commandType: "STATUS_COMMAND",
    role: check.componentName,
    serviceName: spec.serviceName,
    clusterName: spec.clusterName,
    clusterId: String(spec.clusterId),
    commandParams: commandParamsOf(spec),
  };
  const json = JSON.stringify(assembleCommandJson(header, documents, facts), null, 4);
  try {
    // Here and not by other threads: the way there and back takes several times as long as so small a file.
    writeFileSync(files.command, json, { mode: 0o600 });
    return await runCheck(
      {
        argv,
        cwd: folders.prefix,
        environment: scriptEnvironment(folders, checkTag(id), agentVariables(folders, facts)),
        tag: `${taskVariable}=${checkTag(id)}`,
        timeoutMs: timeoutOf(spec),
      },
      signal,
      log,
    );
  } finally {
    removeCheckFiles(files);
  }
}
