import type { Client } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { Logger } from "pino";
import type { AwayOf } from "./explain-wait.js";
import type { HandOverOptions } from "./hand-over.js";
import type { MaintenanceGateOptions } from "./maintenance-gate.js";

/** How the engine paces itself. */
export interface EngineTimes {
  /** How often the store is asked for what a lost hint left behind. Default 3,000. */
  readonly reconcileMs?: number;
  /** Added to a command's time-out before its task is called UNKNOWN. Default 60,000. */
  readonly deadlineGraceMs?: number;
  /** How long a released command may go without a word from an idle host before it is sent again. Default 30,000. */
  readonly resendMs?: number;
  /** How many tasks may be released and not ended at a time, of all requests. Default 0: no limit. */
  readonly maxInFlight?: number;
  /** How long a host must have been away before a request that has waited as long as it may gives up its tasks there. Default 30,000. */
  readonly lostAfterMs?: number;
  /** How long a request is set aside when the store refuses what is asked about it; doubled while it goes on. Default 5,000. */
  readonly setAsideMs?: number;
  /**
   * How long after its call has failed a request may yet be stored with tasks released. Default 15,000: the store stops when the call has ended, and
   * what it has sent to the database by then is committed within 10,000 of its beginning or not at all; the rest is for the way there.
   */
  readonly lateCommitMs?: number;
}

/** What the engine needs. */
export interface EngineOptions extends EngineTimes, Pick<HandOverOptions, "enqueue" | "cancel"> {
  readonly store: Client<typeof CommandStoreService>;
  /** Reads which hosts are in maintenance, by id, and why. */
  readonly readMaintenance: MaintenanceGateOptions["read"];
  /** Since when a host is away, and whether it is lost; undefined while it has a session. Default: not known. */
  readonly awayOf?: AwayOf;
  /** Told when a request is over. Default: nobody. */
  readonly requestOver?: () => void;
  /** The token of the scheduler's lease. */
  readonly token: bigint;
  readonly log: Logger;
}
