import { create, equals } from "@bufbuild/protobuf";
import { type StatusCommand, StatusCommandSchema } from "@howdah/proto/howdah/v1/agent_service";
import { type StatusCheck, StatusCheckSchema } from "@howdah/proto/howdah/v1/command";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import type { Logger } from "pino";
import { type Persisted, persistedMessage, type SaidByStore } from "../cluster-cache/persisted.js";
import type { AgentFolders } from "../folders.js";
import type { JournalEntry } from "../journal/entry.js";
import type { JsonObject } from "../json.js";
import type { ComponentName } from "../status/component-of.js";
import type { Attempts } from "./attempts.js";
import { componentCommandOf } from "./given-command.js";
import { unknownWanted, type Wanted, wantedAfterCheck, wantedAfterCommand } from "./wanted.js";

/** A component, as far as this host knows it. */
export interface Known {
  readonly name: ComponentName;
  /** Undefined while the server does not name it. */
  check: StatusCheck | undefined;
  wanted: Wanted;
  /** What the last check found, or that an INSTALL failed. */
  current: ComponentState | undefined;
  installFailed: boolean;
  attempts: Attempts | undefined;
  /** The wall clock when the window of `attempts` began. */
  sinceMs: number;
  /** Grows with whatever may make a decision about it wrong. */
  changes: number;
  /** Since when commands were found in its way, by the clock of `attempts`. */
  waitsSinceMs: number | undefined;
  /** The last reason why it was not recovered that was logged. */
  told: string | undefined;
}

/** More components no host has: the oldest of those that no check names are forgotten. */
const mostKnown = 2_000;

/**
 * What this host knows of its components: what the server of a store last said of them, as far as no command overtook it. It is kept on
 * the disk, so that an agent that starts while no server is to be reached goes by it.
 */
export class KnownComponents {
  private readonly persisted: Persisted<StatusCommand>;
  private readonly known = new Map<string, Known>();
  private storeId = "";
  private kept: SaidByStore<StatusCommand> | undefined;

  constructor(folders: AgentFolders, log: Logger) {
    this.persisted = persistedMessage(folders, "status_command", StatusCommandSchema, log);
  }

  /** Goes by what was kept, and by what has come since; resolves with the checks that were. Call it before the first command is queued. */
  async restore(entries: readonly JournalEntry[]): Promise<readonly StatusCheck[]> {
    const said = await this.persisted.read();
    if (said === undefined) return [];
    this.kept = said;
    const { checks } = said.message;
    this.apply(checks, said.storeId);
    for (const entry of entries) {
      if (entry.key.storeId !== said.storeId) continue;
      const command = componentCommandOf(entry);
      const last = command && this.get(command.component)?.wanted.lastRequest;
      // The file may be older than the journal, not the other way round.
      if (command !== undefined && command.requestId >= (last ?? 0n)) this.commanded(entry);
    }
    return checks;
  }

  /** Whether it was this store's server that said what is known. */
  isOf(storeId: string): boolean {
    return this.storeId === storeId;
  }

  /** The server of a store names all components of this host. What another store's said does not count any more. */
  command(checks: readonly StatusCheck[], storeId: string): void {
    if (this.storeId !== storeId && this.storeId !== "") this.known.clear();
    this.apply(checks, storeId);
    this.keep();
  }

  private apply(checks: readonly StatusCheck[], storeId: string): void {
    this.storeId = storeId;
    const named = new Set<string>();
    for (const check of checks) {
      const name = nameOf(check);
      named.add(keyOf(name));
      const one = this.one(name);
      const wanted = wantedAfterCheck(one.wanted, check);
      const recovered = one.check?.recoveryEnabled === check.recoveryEnabled;
      if (!recovered || wanted.state !== one.wanted.state) one.changes += 1;
      one.wanted = wanted;
      one.check = check;
    }
    for (const [key, one] of this.known) {
      if (named.has(key) || one.check === undefined) continue;
      one.check = undefined;
      one.changes += 1;
    }
  }

  /** A command of the server is in the journal and will run in its turn. */
  commanded(entry: JournalEntry): void {
    const command = componentCommandOf(entry);
    if (command === undefined) return;
    if (this.storeId !== "" && entry.key.storeId !== this.storeId) return;
    const one = this.one(command.component);
    const before = one.wanted;
    one.wanted = wantedAfterCommand(before, command);
    one.changes += 1;
    if (one.check?.recoveryEnabled && one.wanted !== before) this.keep();
  }

  /** What is kept says what is wanted as this host knows it, and from which request. */
  private keep(): void {
    const checks = [...this.known.values()].flatMap(({ check, wanted }) => {
      if (check === undefined) return [];
      const desiredState = wanted.state ?? ComponentState.UNSPECIFIED;
      const desiredRequestId = wanted.followed ? wanted.lastRequest : 0n;
      return [create(StatusCheckSchema, { ...check, desiredState, desiredRequestId })];
    });
    const message = create(StatusCommandSchema, { checks });
    const { kept, storeId } = this;
    // The server says the same every minute; the disk need not hear of it.
    if (kept?.storeId === storeId && equals(StatusCommandSchema, kept.message, message)) return;
    this.kept = { storeId, message };
    this.persisted.keep(this.kept);
  }

  /** The component, undefined when nothing is known of it. */
  get(name: ComponentName): Known | undefined {
    return this.known.get(keyOf(name));
  }

  /** The component, from now on known. */
  one(name: ComponentName): Known {
    const key = keyOf(name);
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const made: Known = {
      ...{ name, check: undefined, wanted: unknownWanted, current: undefined, changes: 0 },
      ...{ installFailed: false, attempts: undefined, sinceMs: 0, told: undefined },
      waitsSinceMs: undefined,
    };
    this.known.set(key, made);
    for (const [other, { check }] of this.known) {
      if (this.known.size <= mostKnown) break;
      if (check === undefined && other !== key) this.known.delete(other);
    }
    return made;
  }

  /** What scripts find under `hostLevelParams`: Ambari's `recoveryConfig` of the cluster. */
  hostLevelParams(clusterId: string): JsonObject {
    const components = [...this.known.values()].flatMap(({ name, check, wanted }) => {
      if (!check?.recoveryEnabled || wanted.state === undefined) return [];
      if (String(name.clusterId) !== clusterId) return [];
      const desired_state = ComponentState[wanted.state] ?? "";
      const service_name = check.spec?.serviceName ?? "";
      return [{ service_name, component_name: name.componentName, desired_state }];
    });
    return { recoveryConfig: { components } };
  }

  /** Resolves when all that is to be kept is on the disk. */
  written(): Promise<void> {
    return this.persisted.written();
  }
}

/** The component that a check is about. */
export function nameOf({ spec, componentName }: StatusCheck): ComponentName {
  return { clusterId: spec?.clusterId ?? 0n, componentName };
}

/** A component's name as a text. */
export function keyOf({ clusterId, componentName }: ComponentName): string {
  return `${clusterId}/${componentName}`;
}
