import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, toJson } from "@bufbuild/protobuf";
import {
  CommandSpecSchema,
  ExecutionCommandSchema,
  type StatusCheck,
} from "@howdah/proto/howdah/v1/command";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import type { Logger } from "pino";
import type { AgentFacts } from "../command-json.js";
import type { AgentFolders } from "../folders.js";
import type { Json, JsonObject } from "../json.js";
import type { PackageCache } from "../package-cache.js";
import { bootId } from "../process-table.js";
import { resolveCommand } from "../resolve-command.js";
import { type CommandPlan, planCommand } from "../run/command-plan.js";
import type { CommandSpec, ScriptSettings } from "../run/command-spec.js";
import { closeOutput } from "../run/final-text.js";
import { recordFolderOf } from "../run/record-folders.js";
import { forbidPlan, runTries, type TriesEnd } from "../run/run-tries.js";
import type { ComponentName } from "../status/component-of.js";
import { autoFiles, autoKey } from "./auto-files.js";
import type { RecoveryCommand } from "./next-command.js";

/** What running commands of the agent's own needs. */
export interface AutoContext {
  readonly folders: AgentFolders;
  readonly packages: PackageCache;
  readonly facts: AgentFacts;
  readonly settings: ScriptSettings;
  readonly log: Logger;
}

/** Something that the agent runs by itself, with no server's command. */
export interface AutoCommand {
  readonly number: number;
  readonly component: ComponentName;
  readonly command: RecoveryCommand;
  /** The boot it began in. */
  readonly bootId: string;
  readonly plan: CommandPlan;
}

/** An INSTALL has at least so long, as one that operators ask for. */
const leastInstallMs = 1_800_000;

/** Fetches what recovering a component needs and this host lacks. Throws what says why it cannot be had. */
export async function resolveAuto(
  check: StatusCheck,
  command: RecoveryCommand,
  number: number,
  signal: AbortSignal,
  context: AutoContext,
): Promise<CommandSpec> {
  if (check.spec === undefined) throw new Error("the server does not say what to run");
  const statedMs = Number(check.recoveryTimeoutMs || check.spec.timeoutMs);
  const timeoutMs = command === "INSTALL" ? Math.max(statedMs, leastInstallMs) : statedMs;
  const { configurationsDigest, topologyDigest, metadataDigest } = check;
  const execution = create(ExecutionCommandSchema, {
    ...{ taskId: BigInt(number), attempt: 1, role: check.componentName },
    ...{ configurationsDigest, topologyDigest, metadataDigest },
    roleCommand: RoleCommand[command],
    spec: create(CommandSpecSchema, { ...check.spec, timeoutMs: BigInt(timeoutMs) }),
  });
  const spec = await resolveCommand(
    {
      key: autoKey(number),
      command: toJson(ExecutionCommandSchema, execution) as Json,
      ...{ receivedAtMs: 0, state: "RECEIVED", start: null, cancel: null, result: null },
      ...{ acknowledgedAtMs: null, fileSuffix: "" },
    },
    signal,
    context,
  );
  return { ...spec, retryMs: 0, commandJson: autoJson(spec.commandJson, number) };
}

/** What tells such a command from an operator's [A 7.2]. */
function autoJson({ requestId: _, ...json }: JsonObject, number: number): JsonObject {
  return { ...json, commandType: "AUTO_EXECUTION_COMMAND", taskId: number, commandId: number };
}

/**
 * Puts the files of a command on the disk; its record folder last of all gets its plan, and nothing runs before. Throws when they cannot
 * be written; then none is left.
 */
export function writeAuto(
  spec: CommandSpec,
  command: RecoveryCommand,
  named: Pick<AutoCommand, "number" | "component">,
  context: AutoContext,
): AutoCommand {
  try {
    return writeFiles(spec, command, named, context);
  } catch (error) {
    removeAuto(context.folders, named.number);
    throw error;
  }
}

function writeFiles(
  spec: CommandSpec,
  command: RecoveryCommand,
  { number, component }: Pick<AutoCommand, "number" | "component">,
  { folders, settings }: AutoContext,
): AutoCommand {
  const files = autoFiles(folders, number);
  const plan = planCommand(spec, files, folders, settings);
  const recordFolder = recordFolderOf(folders, spec.key);
  mkdirSync(recordFolder, { recursive: true, mode: 0o700 });
  for (const path of [files.stdout, files.stderr]) writeFileSync(path, "", { mode: 0o600 });
  writeFileSync(files.command, JSON.stringify(spec.commandJson, null, 4), { mode: 0o600 });
  const { clusterId, componentName } = component;
  const about = { clusterId: String(clusterId), componentName, command, bootId: bootId() };
  writeFileSync(join(recordFolder, "auto.json"), JSON.stringify(about), { mode: 0o600 });
  const path = join(recordFolder, "plan.json");
  writeFileSync(`${path}.new`, JSON.stringify(plan), { mode: 0o600 });
  renameSync(`${path}.new`, path);
  return { number, component, command, plan, bootId: about.bootId };
}

/** Removes whatever there is of a command that has not begun. */
function removeAuto(folders: AgentFolders, number: number): void {
  const paths = [
    recordFolderOf(folders, autoKey(number)),
    ...Object.values(autoFiles(folders, number)),
  ];
  for (const path of paths) if (path) rmSync(path, { recursive: true, force: true });
}

/**
 * What a former agent has left running or has not seen the end of. What had not begun is removed, for the component may have been stopped
 * since: the next check decides. Call it before anything is run.
 */
export function leftAutoCommands(folders: AgentFolders): AutoCommand[] {
  return readdirSync(folders.steps).flatMap((name) => {
    const number = Number(/^auto[.]([0-9]{1,15})[.]1$/.exec(name)?.[1]);
    if (Number.isNaN(number)) return [];
    const folder = join(folders.steps, name);
    try {
      const about = JSON.parse(readFileSync(join(folder, "auto.json"), "utf8")) as {
        clusterId: string;
        componentName: string;
        command: RecoveryCommand;
        bootId: string;
      };
      const plan = JSON.parse(readFileSync(join(folder, "plan.json"), "utf8")) as CommandPlan;
      const { clusterId, componentName, command } = about;
      const component = { clusterId: BigInt(clusterId), componentName };
      if (forbidPlan(plan, folder)) {
        removeAuto(folders, number);
        return [];
      }
      return [{ number, component, command, bootId: about.bootId, plan }];
    } catch {
      // Without a plan no step of it has begun.
      rmSync(folder, { recursive: true, force: true });
      return [];
    }
  });
}

/**
 * Runs such a command to its end, or follows one that runs already. Rejects when detached: then it goes on, and the next agent follows
 * it. Its record is gone when it has ended; its other files stay.
 */
export async function runAuto(
  auto: AutoCommand,
  cancel: AbortSignal,
  detach: AbortSignal,
  { folders, log }: AutoContext,
): Promise<TriesEnd> {
  const { plan, number } = auto;
  const files = autoFiles(folders, number);
  const recordFolder = recordFolderOf(folders, autoKey(number));
  const end = await runTries({
    ...{ plan, recordFolder, files, cancel, detach, supervisor: folders.supervisor },
    otherBoot: auto.bootId !== bootId(),
    log: log.child({ autoCommand: number }),
    onWait: () => undefined,
    onRetry: () => undefined,
  });
  const { noun, timeoutMs, adHoc } = plan;
  closeOutput(files, { ...end, noun, timeoutMs, adHoc }, log);
  rmSync(recordFolder, { recursive: true, force: true });
  return end;
}
