import { setMaxListeners } from "node:events";
import { create, equals } from "@bufbuild/protobuf";
import { type ComponentStatus, ComponentStatusSchema } from "@howdah/proto/howdah/v1/agent_service";
import { type StatusCheck, StatusCheckSchema } from "@howdah/proto/howdah/v1/command";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { joinSignals } from "@howdah/rpc/join-signals";
import type { JsonObject } from "../json.js";
import { untilDetached } from "../run/step.js";
import { type CheckContext, checkComponent, fetchForCheck } from "./check-component.js";
import type { ComponentName } from "./component-of.js";
import type { CheckEnd } from "./run-check.js";
import { createSlots } from "./slots.js";
import { createStatusLog, type StatusLog } from "./status-log.js";
import { tellAfterMs } from "./tell-after.js";

/** What checking needs. */
export interface StatusChecksOptions extends CheckContext {
  /** How often the components are checked when no server asks for it. */
  readonly intervalMs: number;
  /** Whether a command for the component waits or runs on this host: it is not checked then. */
  readonly busy: (component: ComponentName) => boolean;
  /** Told what each check found. */
  readonly found?: (check: StatusCheck, state: ComponentState) => void;
}

/** Tells the server what differs. */
export type TellStatuses = (statuses: ComponentStatus[]) => void;

/** One component that is checked. */
interface Checked {
  readonly name: ComponentName;
  readonly log: StatusLog;
  check: StatusCheck;
  /** What the last check found; undefined before the first and since a command of the component began. */
  state?: ComponentState | undefined;
  /** What the server was told in this session. */
  told?: ComponentState | undefined;
  underWay?: UnderWay | undefined;
  /** To be checked again once what is under way is over. */
  again?: boolean;
}

interface UnderWay {
  readonly stop: AbortController;
  /** Whether it had its turn: its script runs, or a command of the component kept it from that. */
  begun: boolean;
  /** Never rejects. */
  over: Promise<void>;
}

const mostAtOnce = 2;
/** More components no host has; the rest of such a command is passed over. */
const mostChecked = 1_000;

/**
 * Checks the components that the server last named: when it says so, after each command of a component, and again and again by itself,
 * also while there is no server. Tells what differs from what was told before in the session. With nothing to check it has no timer.
 */
export class StatusChecks {
  private readonly checked = new Map<string, Checked>();
  private readonly slots = createSlots(mostAtOnce);
  /** The documents that the checks under way share. */
  private readonly documents = new Map<string, Promise<JsonObject>>();
  private readonly stopping = new AbortController();
  private tell: TellStatuses | undefined;
  private telling: NodeJS.Timeout | undefined;
  private next: NodeJS.Timeout | undefined;
  private readonly underWay = new Set<Promise<void>>();

  constructor(private readonly options: StatusChecksOptions) {
    setMaxListeners(0, this.stopping.signal); // each check that waits or runs listens
  }

  /** The server names all components that are to be checked, from now on and now. */
  command(checks: readonly StatusCheck[]): void {
    if (checks.length > mostChecked) {
      this.options.log.warn(
        `the server named ${checks.length} components to check: those after the first ${mostChecked} are not`,
      );
    }
    const named = new Set<string>();
    for (const check of checks.slice(0, mostChecked)) {
      const name = { clusterId: check.spec?.clusterId ?? 0n, componentName: check.componentName };
      const key = keyOf(name);
      named.add(key);
      const one = this.checked.get(key);
      if (one === undefined) {
        const log = createStatusLog(this.options.log, name);
        this.checked.set(key, { name, log, check });
      } else if (!equals(StatusCheckSchema, one.check, check)) this.replace(one, check);
    }
    for (const [key, one] of this.checked) {
      if (named.has(key)) continue;
      this.checked.delete(key);
      one.underWay?.stop.abort(new Error("it is not to be checked any more"));
    }
    this.pass();
  }

  private replace(one: Checked, check: StatusCheck): void {
    one.check = check;
    if (one.underWay?.begun === true) one.again = true;
    else {
      one.underWay?.stop.abort(new Error("a newer check takes its place"));
      one.underWay = undefined;
    }
  }

  /** A session lives: it is told everything that is known. */
  connected(tell: TellStatuses): void {
    this.tell = tell;
    for (const one of this.checked.values()) one.told = undefined;
    this.tellSoon();
  }

  /** The session is over. */
  disconnected(): void {
    this.tell = undefined;
  }

  /** A command is about to run, of this component if of any. Resolves when no process of a check of it is left. */
  async standAside(name: ComponentName | undefined): Promise<void> {
    const one = this.of(name);
    if (one === undefined) return;
    one.state = undefined;
    one.told = undefined;
    one.underWay?.stop.abort(new Error("a command of the component begins"));
    await one.underWay?.over;
  }

  /** A command has ended, of this component if of any: what it is now is not known. */
  ended(name: ComponentName | undefined): void {
    const one = this.of(name);
    if (one !== undefined) one.told = undefined;
    this.checkAgain(name);
  }

  /** Checks a component of those that are checked, now. */
  checkAgain(name: ComponentName | undefined): void {
    const one = this.of(name);
    if (one === undefined) return;
    if (one.underWay?.begun === true) one.again = true;
    this.due(one);
  }

  /** The server has recorded the end of a command. What was told of its component before that may have been passed over: it is told again. */
  recorded(name: ComponentName | undefined): void {
    const one = this.of(name);
    if (one === undefined) return;
    one.told = undefined;
    this.tellSoon();
  }

  /** Checks nothing any more; resolves when no process of a check is left. */
  async close(): Promise<void> {
    this.stopping.abort(new Error("the agent stops"));
    clearTimeout(this.next);
    clearTimeout(this.telling);
    await Promise.all(this.underWay);
  }

  private of(name: ComponentName | undefined): Checked | undefined {
    return name && this.checked.get(keyOf(name));
  }

  private pass(): void {
    clearTimeout(this.next);
    if (this.checked.size === 0 || this.stopping.signal.aborted) return;
    this.next = setTimeout(() => this.pass(), this.options.intervalMs);
    this.documents.clear();
    for (const one of this.checked.values()) this.due(one);
  }

  private due(one: Checked): void {
    if (one.underWay !== undefined || this.stopping.signal.aborted) return;
    const underWay: UnderWay = {
      stop: new AbortController(),
      begun: false,
      over: Promise.resolve(),
    };
    one.underWay = underWay;
    one.again = false;
    const over = this.checkOne(one, underWay).finally(() => {
      this.underWay.delete(over);
      if (this.underWay.size === 0) this.documents.clear();
      if (one.underWay !== underWay) return;
      one.underWay = undefined;
      if (one.again === true && this.checked.get(keyOf(one.name)) === one) this.due(one);
    });
    underWay.over = over;
    this.underWay.add(over);
  }

  /** Never rejects. */
  private async checkOne(one: Checked, underWay: UnderWay): Promise<void> {
    const { check } = one;
    const { signal, release } = joinSignals(underWay.stop.signal, this.stopping.signal);
    const read = (digest: string) => untilDetached(this.document(digest), signal);
    try {
      // Not in a slot: while the server is away the others go on.
      await fetchForCheck(check, signal, read, this.options.packages);
      await this.slots.run(signal, async () => {
        underWay.begun = true;
        if (this.options.busy(one.name)) return;
        const end = await checkComponent(check, signal, read, this.options);
        signal.throwIfAborted();
        this.found(one, check, end);
      });
    } catch (error) {
      if (!signal.aborted) one.log.trouble((error as Error).message);
    } finally {
      release();
    }
  }

  private document(digest: string): Promise<JsonObject> {
    const known = this.documents.get(digest);
    if (known !== undefined) return known;
    const reading = this.options.packages.document(digest, this.stopping.signal);
    this.documents.set(digest, reading);
    reading.catch(() => {
      if (this.documents.get(digest) === reading) this.documents.delete(digest);
    });
    return reading;
  }

  private found(one: Checked, check: StatusCheck, end: CheckEnd): void {
    const state = end.exitCode === 0 ? ComponentState.STARTED : ComponentState.INSTALLED;
    one.log.found(state, state !== one.state, end);
    one.state = state;
    this.options.found?.(check, state);
    this.tellSoon();
  }

  private tellSoon(): void {
    if (this.telling !== undefined || this.tell === undefined || this.changed().length === 0)
      return;
    this.telling = setTimeout(() => {
      this.telling = undefined;
      const changed = this.changed();
      if (this.tell === undefined || changed.length === 0) return;
      this.tell(
        changed.map(({ name, state = 0 }) => create(ComponentStatusSchema, { ...name, state })),
      );
      for (const one of changed) one.told = one.state;
    }, tellAfterMs);
  }

  private changed(): Checked[] {
    return [...this.checked.values()].filter(
      ({ state, told }) => state !== undefined && state !== told,
    );
  }
}

function keyOf({ clusterId, componentName }: ComponentName): string {
  return `${clusterId}/${componentName}`;
}
