import { create } from "@bufbuild/protobuf";
import {
  type HostStatusReport,
  HostStatusReportSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import type { Logger } from "pino";
import type { JsonObject } from "../json.js";
import { type Clocks, createClockSkew, ownClocks, type ServerTime } from "./clock-skew.js";
import { type HostProblem, type HostReading, hostProblems } from "./host-problems.js";
import { ambariMount, type MeasuredMount } from "./mounts.js";
import type { ReadHost } from "./read-host.js";

/** What watching a host needs. */
export interface HostStatusOptions {
  readonly read: ReadHost;
  /** Ambari's `agentEnv` of the moment. */
  readonly agentEnv: () => JsonObject;
  readonly log: Logger;
  /** How often the host is looked at. Default 60 s. */
  readonly intervalMs?: number;
  readonly clocks?: Clocks;
}

/** What was told, and what it was made of. */
interface Told {
  readonly report: HostStatusReport;
  /** By their keys. */
  readonly problems: ReadonlyMap<string, HostProblem>;
  readonly reading: HostReading;
}

const mostBytes = 32 * 1024;
const mostProblems = 20;
const mostProblemLength = 300;
const newsPercent = 5;

/**
 * Watches how the host is while a session lives, with one timer. A session is told once, and then what an operator would want to know: a
 * problem that came or went, one whose number doubled or halved, a file system that filled or emptied by five percent points, or came or
 * went. A new session is told the very same as the one before while there is no such news, so that a whole fleet that registers again
 * changes nothing.
 */
export class HostStatus {
  private readonly skew;
  private tell: ((report: HostStatusReport) => void) | undefined;
  private told: Told | undefined;
  /** Whether this session has heard anything yet. */
  private heard = false;
  private timer: NodeJS.Timeout | undefined;
  private reading: Promise<void> | undefined;
  private closed = false;

  constructor(private readonly options: HostStatusOptions) {
    this.skew = createClockSkew(options.clocks ?? ownClocks);
  }

  /** A session lives, and its server has said what time it is. */
  connected(tell: (report: HostStatusReport) => void, time: ServerTime): void {
    this.skew.told(time);
    this.tell = tell;
    this.heard = false;
    this.look();
  }

  /** The session is over. */
  disconnected(): void {
    this.tell = undefined;
    clearTimeout(this.timer);
  }

  /** Looks no more. Waits for no answer of a disk that hangs. */
  close(): void {
    this.closed = true;
    this.disconnected();
  }

  private look(): void {
    clearTimeout(this.timer);
    if (this.closed || this.tell === undefined) return;
    this.timer = setTimeout(() => this.look(), this.options.intervalMs ?? 60_000);
    // One that is still under way ends in time for this one: it tells whoever listens by then.
    this.reading ??= this.lookOnce().finally(() => {
      this.reading = undefined;
    });
  }

  /** Never rejects. */
  private async lookOnce(): Promise<void> {
    try {
      const read = await this.options.read();
      if (this.tell === undefined) return;
      this.found({ ...read, ...this.skew.now() });
    } catch (error) {
      this.options.log.warn({ err: error }, "how the host is could not be found out");
    }
  }

  private found(reading: HostReading): void {
    const former = this.told;
    const found = hostProblems(reading, new Set(former?.problems.keys()));
    const problems = new Map(found.map((problem) => [problem.key, problem]));
    if (former === undefined || isNews(former, reading, problems)) {
      this.log(former, found);
      this.told = { report: this.report(reading, found), problems, reading };
    } else if (this.heard) return;
    if (this.told === undefined) return;
    this.heard = true;
    this.tell?.(this.told.report);
  }

  /** In the agent's own log as well, for who looks there. */
  private log(former: Told | undefined, problems: readonly HostProblem[]): void {
    const isNew = (problem: HostProblem) => isOther(former?.problems.get(problem.key), problem);
    for (const { text } of problems.filter(isNew)) this.options.log.warn(`the host: ${text}`);
  }

  private report(reading: HostReading, problems: readonly HostProblem[]): HostStatusReport {
    const { clockSkewMs } = reading;
    const texts = problems
      .slice(0, mostProblems)
      .map(({ text }) => text.slice(0, mostProblemLength));
    const rest = {
      agentEnv: this.options.agentEnv(),
      ...(clockSkewMs !== undefined && { clockSkewMs }),
      problems: texts,
    };
    // The fullest, where there are more than a report holds.
    let mounts = [...reading.mounts].sort((a, b) => b.percent - a.percent).map(ambariMount);
    let statusJson = JSON.stringify({ mounts, ...rest });
    while (Buffer.byteLength(statusJson) > mostBytes && mounts.length > 0) {
      mounts = mounts.slice(0, Math.floor(mounts.length / 2));
      statusJson = JSON.stringify({ mounts, ...rest });
    }
    return create(HostStatusReportSchema, { statusJson, problems: texts });
  }
}

/** Whether an operator would want to know. */
function isNews(told: Told, now: HostReading, problems: ReadonlyMap<string, HostProblem>): boolean {
  if (problems.size !== told.problems.size) return true;
  for (const [key, problem] of problems) {
    if (isOther(told.problems.get(key), problem)) return true;
  }
  // Nothing is known to have changed while nothing can be measured.
  if (now.mountsUnknown !== "") return false;
  const before = new Map(told.reading.mounts.map((mount) => [mount.mountpoint, mount]));
  if (before.size !== now.mounts.length) return true;
  return now.mounts.some((mount) => moved(before.get(mount.mountpoint), mount));
}

/** Whether a problem is new, or twice or half as large as it was told. */
function isOther(told: HostProblem | undefined, now: HostProblem): boolean {
  if (told === undefined) return true;
  const [before, after] = [told.size, now.size];
  if (before === undefined || after === undefined) return before !== after;
  return after >= 2 * before || before >= 2 * after;
}

function moved(before: MeasuredMount | undefined, now: MeasuredMount): boolean {
  if (before === undefined || before.readOnly !== now.readOnly) return true;
  const by = (a = 0, b = 0) => Math.abs(a - b) >= newsPercent;
  return by(before.percent, now.percent) || by(before.inodesPercent, now.inodesPercent);
}
