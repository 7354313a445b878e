import type { StatusCheck } from "@howdah/proto/howdah/v1/command";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { joinSignals } from "@howdah/rpc/join-signals";
import type { RecoveryCounts } from "../alerts/check-recovery.js";
import type { JournalEntry } from "../journal/entry.js";
import type { JsonObject } from "../json.js";
import { bootId } from "../process-table.js";
import { laneOf } from "../run/lane-of.js";
import type { TriesEnd } from "../run/run-tries.js";
import { type ComponentName, componentOf, isAbout } from "../status/component-of.js";
import type { StatusChecks } from "../status/status-checks.js";
import { anotherAttempt } from "./attempts.js";
import {
  type AutoCommand,
  type AutoContext,
  leftAutoCommands,
  resolveAuto,
  runAuto,
  writeAuto,
} from "./auto-command.js";
import { autoNumbers } from "./auto-files.js";
import { componentCommandOf } from "./given-command.js";
import { type Known, KnownComponents, keyOf, nameOf } from "./known-components.js";
import { nextCommand } from "./next-command.js";
import { type RecoveryChoice, readRecoverySettings } from "./recovery-settings.js";

/** What recovery needs. */
export interface RecoveryOptions extends AutoContext {
  readonly status: Pick<StatusChecks, "command" | "standAside" | "ended" | "checkAgain">;
  /** The server's commands that wait or run. */
  readonly openEntries: () => readonly JournalEntry[];
  /** A clock that only goes forward, in milliseconds; tests set it. */
  readonly now?: () => number;
}

interface Running {
  readonly auto: AutoCommand;
  readonly cancel: AbortController;
  /** Never rejects. */
  readonly over: Promise<void>;
}

/** What is to be had from a server is waited for no longer; it is tried again with the next check. */
const fetchMs = 30_000;
/** Commands may take their time; one that keeps a component down for longer than this is told of. */
const longWaitMs = 10 * 60_000;
const mostChoices = 16;
const { INSTALLED, INSTALL_FAILED, STARTED } = ComponentState;

/**
 * Starts components that should run and do not, by what the server last said of them and by the commands that came since: also while no
 * server is to be reached, and after a restart. It acts upon what a check has just found, one at a time, and never beside a command, but
 * for another's background command: that may run for a week.
 */
export class Recovery {
  private readonly known: KnownComponents;
  private readonly stopping = new AbortController();
  private readonly now: () => number;
  private readonly number: () => number;
  /** What clusters' configurations say, by their digests. */
  private readonly choices = new Map<string, RecoveryChoice>();
  /** The digests of hooks that are on the disk, or are being fetched. */
  private readonly ahead = new Set<string>();
  /** Those to be looked at once nothing is in the way. */
  private readonly postponed = new Map<string, ComponentName>();
  private considering: Promise<void> | undefined;
  private running: Running | undefined;

  constructor(private readonly options: RecoveryOptions) {
    this.now = options.now ?? (() => performance.now());
    this.number = autoNumbers(options.folders);
    this.known = new KnownComponents(options.folders, options.log);
  }

  /**
   * Goes by what a former agent was told, until a server says otherwise, and follows what that agent has started. Call it before the
   * first command is queued. Resolves with the checks that this host is to go on with.
   */
  restore(entries: readonly JournalEntry[]): Promise<readonly StatusCheck[]> {
    this.followLeft(leftAutoCommands(this.options.folders));
    return this.known.restore(entries);
  }

  /** A session with a store begins: what another one said does not count any more. */
  meets(storeId: string): void {
    if (!this.known.isOf(storeId)) this.command([], storeId);
  }

  /** The server of a store says what is on this host and what it is wanted to be. */
  command(checks: readonly StatusCheck[], storeId: string): void {
    this.known.command(checks, storeId);
    this.options.status.command(checks);
    this.fetchAhead(checks);
  }

  /** What only a recovery needs is to be had now: then the server may be away. A check fetches the rest. */
  private fetchAhead(checks: readonly StatusCheck[]): void {
    const recovered = checks.filter(({ recoveryEnabled }) => recoveryEnabled);
    for (const digest of new Set(recovered.map(({ spec }) => spec?.hooksDigest ?? ""))) {
      if (digest === "" || this.ahead.has(digest)) continue;
      this.ahead.add(digest);
      this.options.packages.folder(digest, this.stopping.signal).catch((error: Error) => {
        this.ahead.delete(digest);
        if (this.stopping.signal.aborted) return;
        this.options.log.warn({ digest, reason: error.message }, "hooks cannot be had");
      });
    }
  }

  /** A command of the server is in the journal and will run in its turn. One that stops what is being recovered ends that now. */
  commanded(entry: JournalEntry): void {
    this.known.commanded(entry);
    const command = componentCommandOf(entry);
    if (command === undefined || !this.busy(command.component)) return;
    if (command.name === "STOP" || command.name === "UNINSTALL") {
      this.running?.cancel.abort(`an operator's ${command.name} came`);
    }
  }

  /** Resolves when a command may run: it waits for what the agent runs by itself, unless it is another's background command. */
  async mayStart(entry: JournalEntry): Promise<void> {
    const { running } = this;
    if (running === undefined) return;
    const component = componentOf(entry);
    const isSame = component !== undefined && this.busy(component);
    if (isSame || laneOf(entry) === "commands") await running.over;
  }

  /** A command of the server has ended. */
  commandEnded(entry: JournalEntry): void {
    const command = componentCommandOf(entry);
    if (command !== undefined) {
      noteEnd(this.known.one(command.component), command.name, entry.result?.status);
    }
    this.lookAgain();
  }

  /** A check has just found a component so. */
  found(check: StatusCheck, state: ComponentState): void {
    const one = this.known.get(nameOf(check));
    if (one === undefined) return;
    if (state === STARTED) one.installFailed = false;
    one.current = one.installFailed && state === INSTALLED ? INSTALL_FAILED : state;
    if (!one.check?.recoveryEnabled || one.wanted.state === undefined) return;
    if (nextCommand("FULL", one.current, one.wanted.state) !== undefined) this.consider(one);
    else {
      one.told = undefined;
      one.waitsSinceMs = undefined;
    }
  }

  private consider(one: Known): void {
    if (this.stopping.signal.aborted) return;
    if (this.considering !== undefined || this.running !== undefined) {
      this.postponed.set(keyOf(one.name), one.name);
      return;
    }
    const late = new AbortController();
    const lateError = new Error(`no server gave what it needs within ${fetchMs / 1_000} s`);
    const timer = setTimeout(() => late.abort(lateError), fetchMs);
    const { signal, release } = joinSignals(this.stopping.signal, late.signal);
    this.considering = this.tryOne(one, signal)
      .finally(() => {
        clearTimeout(timer);
        release();
      })
      .catch((error: Error) => {
        if (!this.stopping.signal.aborted) this.tell(one, error.message);
      })
      .finally(() => {
        this.considering = undefined;
        if (this.running === undefined) this.lookAgain();
      });
  }

  /** Once for each reason, until it has changed. */
  private tell(one: Known, reason: string): void {
    if (one.told === reason) return;
    one.told = reason;
    this.options.log.warn({ ...fieldsOf(one.name), reason }, "a component is not recovered");
  }

  /** @param within ends the wait for what a server must give */
  private async tryOne(one: Known, within: AbortSignal): Promise<void> {
    const { check, changes, current } = one;
    if (check === undefined || current === undefined) return;
    const choice = await this.choiceOf(check.configurationsDigest, within);
    if (choice.kind !== "on" || one.wanted.state === undefined) return;
    const { settings } = choice;
    const command = nextCommand(settings.type, current, one.wanted.state);
    if (command === undefined) return;
    const attempts = anotherAttempt(one.attempts, settings, this.now());
    if (attempts === "lifetime") {
      const most = `recovery_lifetime_max_count = ${settings.lifetimeMaxCount}`;
      this.tell(one, `${most} is reached: start it yourself, or restart the agent`);
    }
    if (typeof attempts === "string") return;
    const number = this.number();
    const spec = await resolveAuto(check, command, number, within, this.options);
    this.stopping.signal.throwIfAborted();
    if (this.isInTheWay(one.name)) {
      this.postponed.set(keyOf(one.name), one.name);
      one.waitsSinceMs ??= this.now();
      if (this.now() - one.waitsSinceMs >= longWaitMs) this.tell(one, "commands wait or run here");
      return;
    }
    one.waitsSinceMs = undefined;
    // Whatever was said or found meanwhile counts: the next check looks again.
    if (one.changes !== changes || one.current !== current) return;
    // Before anything can fail: a full disk must not be tried again with each check.
    if (attempts.count === 1) one.sinceMs = Date.now();
    one.attempts = attempts;
    const auto = writeAuto(spec, command, { number, component: one.name }, this.options);
    one.told = undefined;
    const times = { count: attempts.count, lifetime: attempts.lifetime };
    this.options.log.info(
      { ...fieldsOf(one.name), command, autoCommand: number, ...times },
      "recovering a component",
    );
    this.follow(auto);
  }

  private async choiceOf(digest: string, signal: AbortSignal): Promise<RecoveryChoice> {
    if (digest === "") return { kind: "off" };
    const known = this.choices.get(digest);
    if (known !== undefined) return known;
    const choice = readRecoverySettings(await this.options.packages.document(digest, signal));
    if (this.choices.size >= mostChoices) this.choices.clear();
    this.choices.set(digest, choice);
    if (choice.kind === "invalid") {
      this.options.log.warn({ reason: choice.reason }, "no component is recovered");
    }
    return choice;
  }

  private followLeft([first, ...rest]: readonly AutoCommand[]): void {
    if (first === undefined) return;
    // One that the host's end cut short was none.
    if (first.bootId === bootId()) {
      const one = this.known.one(first.component);
      one.attempts = { count: 1, lifetime: 1, lastMs: this.now(), resetMs: this.now() };
      one.sinceMs = Date.now();
    }
    this.follow(first);
    void this.running?.over.then(() => {
      if (!this.stopping.signal.aborted) this.followLeft(rest);
    });
  }

  private follow(auto: AutoCommand): void {
    const cancel = new AbortController();
    this.running = { auto, cancel, over: this.runToEnd(auto, cancel.signal) };
  }

  /** Never rejects. */
  private async runToEnd(auto: AutoCommand, cancel: AbortSignal): Promise<void> {
    const { component, command, number } = auto;
    const { status, log } = this.options;
    const fields = { ...fieldsOf(component), command, autoCommand: number };
    let end: TriesEnd["status"] | undefined;
    try {
      await status.standAside(component);
      const {
        status: ended,
        exitCode,
        reason,
      } = await runAuto(...([auto, cancel, this.stopping.signal] as const), this.options);
      end = ended;
      if (ended !== "COMPLETED") {
        log.warn({ ...fields, status: ended, exitCode, reason }, "a component was not recovered");
      }
    } catch (error) {
      if (!this.stopping.signal.aborted) {
        log.error({ ...fields, err: error }, "a component could not be recovered");
      }
    }
    this.running = undefined;
    if (this.stopping.signal.aborted) return;
    noteEnd(this.known.one(component), command, end);
    status.ended(component);
    this.lookAgain();
  }

  /** Whether a command of the server keeps a component from being recovered. */
  private isInTheWay(name: ComponentName): boolean {
    const isOpen = ({ state }: JournalEntry) => state !== "ENDED"; // the one whose end is being told is among them
    return this.options
      .openEntries()
      .some((entry) => isOpen(entry) && (laneOf(entry) === "commands" || isAbout(entry, name)));
  }

  /** Has those checked again that something was in the way of, and is not any more. */
  private lookAgain(): void {
    const names = [...this.postponed.values()].filter((name) => !this.isInTheWay(name));
    for (const name of names) this.postponed.delete(keyOf(name));
    for (const name of names) this.options.status.checkAgain(name);
  }

  /** Whether the agent is recovering this component. */
  busy(name: ComponentName): boolean {
    return this.running !== undefined && keyOf(this.running.auto.component) === keyOf(name);
  }

  /** How often a component was recovered in the window of now, and since when; undefined when it is not to be recovered. */
  counts(clusterId: bigint, componentName: string): RecoveryCounts | undefined {
    const one = this.known.get({ clusterId, componentName });
    if (one?.check?.recoveryEnabled !== true) return undefined;
    const none = { since: undefined, count: 0, atLimit: false };
    const choice = this.choices.get(one.check.configurationsDigest);
    if (one.attempts === undefined || choice?.kind !== "on") return none;
    const { count, lifetime, lastMs } = one.attempts;
    const atLimit = lifetime >= choice.settings.lifetimeMaxCount;
    if (this.now() - lastMs > choice.settings.windowMs) return { ...none, atLimit };
    return { since: one.sinceMs, count, atLimit };
  }

  /** What scripts find under `hostLevelParams`. */
  hostLevelParams(clusterId: string): JsonObject {
    return this.known.hostLevelParams(clusterId);
  }

  /** Recovers nothing any more; what runs goes on, and the next agent follows it. */
  async close(): Promise<void> {
    this.stopping.abort(new Error("the agent stops"));
    await Promise.all([this.considering, this.running?.over]);
    await this.known.written();
  }
}

function fieldsOf({ clusterId, componentName }: ComponentName) {
  return { component: componentName, cluster: String(clusterId) };
}

/** A command of a component has ended: what it is now is not known. Only an INSTALL's end says that it is not installed. */
function noteEnd(one: Known, command: string, status: TriesEnd["status"] | undefined): void {
  one.current = undefined;
  one.changes += 1;
  if (status === "COMPLETED") {
    if (["INSTALL", "START", "RESTART"].includes(command)) one.installFailed = false;
  } else if (command === "INSTALL" && status !== undefined) one.installFailed = true;
}
