import { type AlertResult, AlertState } from "@howdah/proto/howdah/v1/alert";
import type { Session } from "../session.js";

/** A report some of whose results are not at the store yet. */
export interface ReportUnderWay {
  /** One result more is on its way. */
  begin(): void;
  /** A result is at the store, will never be, or does not matter any more. */
  done(): void;
}

/** Makes a report that calls `over` when everything that has begun is done; until `done` is called once more, it is not. */
export function reportUnderWay(over: () => void): ReportUnderWay {
  let count = 1;
  return {
    begin() {
      count += 1;
    },
    done() {
      count -= 1;
      if (count === 0) over();
    },
  };
}

/** What is said of one alert. */
export interface Word {
  /** Absent when only what is stale has changed. */
  readonly result: AlertResult | undefined;
  /** How often it was found in a row and is to be counted. */
  readonly times: number;
  /** When the newest of them came, on our monotonic clock. */
  readonly atMs: number;
  /** The reports that it came with. */
  readonly from: readonly ReportUnderWay[];
}

/** The highest tolerance; who has said so often that an alert is not OK has said it for sure. */
const maxTimes = 100;

/** One alert of a session on its way to the store: of what waits, the newest word counts. */
export class WaitingAlert {
  #waiting: Word | undefined;
  /** Under way, also while it is not known what became of it. */
  #sent: Word | undefined;

  constructor(
    readonly session: Session,
    readonly key: string,
  ) {}

  /** Takes what was found now. */
  add(result: AlertResult | undefined, report: ReportUnderWay): void {
    report.begin();
    const word = { result, times: 1, atMs: performance.now(), from: [report] };
    this.#waiting = this.#waiting === undefined ? word : joined(this.#waiting, word);
  }

  /** What is to be sent. The same again, with what has come since, until it is settled. */
  take(): Word {
    const word =
      this.#sent !== undefined && this.#waiting !== undefined
        ? joined(this.#sent, this.#waiting)
        : (this.#waiting ?? this.#sent);
    if (word === undefined) throw new Error(`there is nothing to send of alert ${this.key}`);
    this.#sent = word;
    this.#waiting = undefined;
    return word;
  }

  /** What was taken last is at the store, or never will be. True when more has come since. */
  settle(): boolean {
    const sent = this.#sent;
    this.#sent = undefined;
    for (const report of sent?.from ?? []) report.done();
    return this.#waiting !== undefined;
  }
}

/** What counts of two words. What is not OK is counted as often as it was told: its agent stops telling it at its tolerance. */
function joined(older: Word, newer: Word): Word {
  const [before, now] = [older.result?.state, newer.result?.state];
  if (now === AlertState.SKIPPED && before !== now) {
    for (const report of newer.from) report.done();
    return older;
  }
  if (before !== now || now === undefined || now === AlertState.OK || now === AlertState.SKIPPED) {
    for (const report of older.from) report.done();
    return newer;
  }
  const from = [...older.from, ...newer.from];
  for (const report of from.splice(0, from.length - maxTimes)) report.done();
  return { ...newer, times: Math.min(older.times + newer.times, maxTimes), from };
}
