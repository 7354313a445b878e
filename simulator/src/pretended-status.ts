import { create } from "@bufbuild/protobuf";
import type { JournalEntry } from "@howdah/agent/journal/entry";
import { isJsonObject } from "@howdah/agent/json";
import { type ComponentName, componentOf } from "@howdah/agent/status/component-of";
import type { TellStatuses } from "@howdah/agent/status/status-checks";
import { tellAfterMs } from "@howdah/agent/status/tell-after";
import { ComponentStatusSchema } from "@howdah/proto/howdah/v1/agent_service";
import type { StatusCheck } from "@howdah/proto/howdah/v1/command";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";

/** What verbs make of a component; the others leave it as it is. */
const made: Readonly<Record<string, ComponentState>> = {
  ROLE_COMMAND_START: ComponentState.STARTED,
  ROLE_COMMAND_RESTART: ComponentState.STARTED,
  ROLE_COMMAND_STOP: ComponentState.INSTALLED,
  ROLE_COMMAND_INSTALL: ComponentState.INSTALLED,
};

interface Component {
  readonly name: ComponentName;
  /** A command of it runs: nobody looks at it. */
  busy: boolean;
  told: ComponentState | undefined;
}

/**
 * The status of a simulated host's components: they are what the last command made of them, and none dies by itself. At first none runs.
 * Told is what differs from what the session was told before.
 */
export class PretendedStatus {
  private readonly states = new Map<string, ComponentState>();
  private components = new Map<string, Component>();
  private tell: TellStatuses | undefined;
  private telling: NodeJS.Timeout | undefined;

  /** The server names all components that it wants to know of. */
  command(checks: readonly StatusCheck[]): void {
    const before = this.components;
    this.components = new Map();
    for (const { componentName, spec } of checks) {
      const name = { clusterId: spec?.clusterId ?? 0n, componentName };
      const key = keyOf(name);
      this.components.set(key, before.get(key) ?? { name, busy: false, told: undefined });
    }
    this.tellSoon();
  }

  /** A session lives: it is told everything. */
  connected(tell: TellStatuses): void {
    this.tell = tell;
    for (const component of this.components.values()) component.told = undefined;
    this.tellSoon();
  }

  /** The session is over. */
  disconnected(): void {
    this.tell = undefined;
  }

  /** A command is about to run. */
  began(entry: JournalEntry): void {
    const component = this.of(entry);
    if (component !== undefined) component.busy = true;
  }

  /** A command has ended. */
  ended(entry: JournalEntry): void {
    const name = componentOf(entry);
    if (name === undefined) return;
    const state = entry.result?.status === "COMPLETED" ? madeBy(entry) : undefined;
    if (state !== undefined) this.states.set(keyOf(name), state);
    const component = this.of(entry);
    if (component !== undefined) component.busy = false;
    this.recorded(entry);
  }

  /** The server has recorded the end of a command: what it was told of the component before that it may have passed over. */
  recorded(entry: JournalEntry): void {
    const component = this.of(entry);
    if (component === undefined) return;
    component.told = undefined;
    this.tellSoon();
  }

  /** Tells nothing any more. */
  close(): void {
    this.tell = undefined;
    clearTimeout(this.telling);
  }

  private of(entry: JournalEntry): Component | undefined {
    const name = componentOf(entry);
    return name && this.components.get(keyOf(name));
  }

  private tellSoon(): void {
    if (this.telling !== undefined || this.tell === undefined) return;
    this.telling = setTimeout(() => {
      this.telling = undefined;
      this.tellChanges();
    }, tellAfterMs);
  }

  private tellChanges(): void {
    const changed = [...this.components].flatMap(([key, component]) => {
      const state = this.states.get(key) ?? ComponentState.INSTALLED;
      return component.busy || component.told === state ? [] : [{ component, state }];
    });
    if (this.tell === undefined || changed.length === 0) return;
    this.tell(
      changed.map(({ component: { name }, state }) =>
        create(ComponentStatusSchema, { ...name, state }),
      ),
    );
    for (const { component, state } of changed) component.told = state;
  }
}

function madeBy({ command }: JournalEntry): ComponentState | undefined {
  return isJsonObject(command) ? made[String(command.roleCommand)] : undefined;
}

function keyOf({ clusterId, componentName }: ComponentName): string {
  return `${clusterId}/${componentName}`;
}
