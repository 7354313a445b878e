import { setTimeout as sleep } from "node:timers/promises";
import { ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import type { RequestRun } from "./request-run.js";

/** What the gate needs, and what it tells. */
export interface MaintenanceGateOptions {
  readonly log: Logger;
  /** Reads which hosts are in maintenance, by id, and why. */
  readonly read: (signal: AbortSignal) => Promise<ReadonlyMap<bigint, string>>;
  /** The pause between two reads. */
  readonly everyMs: number;
  /** Called with hosts whose maintenance has begun or ended, as far as some request waits for hosts; and with all hosts of a request that
   * may be looked at for the first time. */
  readonly changed: (hostIds: Iterable<bigint>) => void;
}

/**
 * Keeps requests that wait for their hosts from releasing to hosts in maintenance. Who is in maintenance is read when such a request comes,
 * and every now and then while there is one; never otherwise.
 */
export class MaintenanceGate {
  private readonly runs = new Set<RequestRun>();
  /** Those that came after the last read began. */
  private readonly unread = new Set<RequestRun>();
  private hosts: ReadonlyMap<bigint, string> = new Map();
  private readonly stopping = new AbortController();
  private reading = false;
  private soon = new AbortController();

  constructor(private readonly options: MaintenanceGateOptions) {}

  /** Takes in a request, if it waits for its hosts. */
  add(run: RequestRun): void {
    if (!run.options.waitsForHosts || this.stopping.signal.aborted) return;
    this.runs.add(run);
    this.unread.add(run);
    this.soon.abort();
    if (!this.reading) void this.keepReading();
  }

  /** Forgets a request. */
  remove(run: RequestRun): void {
    this.runs.delete(run);
    this.unread.delete(run);
    if (this.runs.size === 0) this.soon.abort();
  }

  /** Reads no more. */
  stop(): void {
    this.stopping.abort();
    this.soon.abort();
  }

  /** Whether the request waits for the end of the host's maintenance, or until it is known whether there is one. */
  keeps(run: RequestRun, hostId: bigint): boolean {
    return this.unread.has(run) || (this.runs.has(run) && this.hosts.has(hostId));
  }

  /** Why the host is in maintenance, as far as known; undefined when it is not. */
  reasonOf(hostId: bigint): string | undefined {
    return this.hosts.get(hostId);
  }

  private async keepReading(): Promise<void> {
    this.reading = true;
    while (this.runs.size > 0 && !this.stopping.signal.aborted) {
      this.soon = new AbortController();
      await this.tryRead();
      if (this.runs.size > 0) {
        const { signal } = this.soon;
        await sleep(this.options.everyMs, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
    this.reading = false;
    this.hosts = new Map();
  }

  private async tryRead(): Promise<void> {
    const { log, read } = this.options;
    const { signal } = this.stopping;
    const waiting = [...this.unread];
    try {
      const before = this.hosts;
      const hosts = await read(signal);
      this.hosts = hosts;
      const changed = new Set<bigint>();
      for (const id of before.keys()) if (!hosts.has(id)) changed.add(id);
      for (const id of hosts.keys()) if (!before.has(id)) changed.add(id);
      for (const run of waiting) {
        this.unread.delete(run);
        for (const id of run.unfinishedHosts()) changed.add(id);
      }
      if (changed.size > 0) this.options.changed(changed);
    } catch (error) {
      if (signal.aborted) return;
      log.warn(
        `cannot read who is in maintenance, will try again: ${ConnectError.from(error).rawMessage}`,
      );
    }
  }
}
