import type { Concurrency, OnFailure } from "@howdah/proto/howdah/v1/operation";
import type { RunTask } from "./run-task.js";

/** The pause before a further attempt: the first one, doubling with each up to the longest. */
export interface Backoff {
  readonly firstMs: number;
  readonly longestMs: number;
}

/** A role of a stage, as planned or as read from the store. */
export interface RoleContents {
  readonly name: string;
  readonly successFactor: number;
  /** In requests without barriers: the places, in the stage's roles, of those that must be done and have succeeded before. */
  readonly blockers: readonly number[];
  /** A step that a person does. */
  readonly manual: boolean;
  /** Its commands run beside all others on their hosts. */
  readonly background: boolean;
  /** For how long agents try its commands again in place. Default 0. */
  readonly retryMs?: number;
  /** Absent when its tasks are not tried again by themselves. */
  readonly backoff?: Backoff;
}

/** How a request runs, as far as the scheduler decides it. */
export interface RunOptions {
  /** What a failure means; never UNSPECIFIED. */
  readonly onFailure: OnFailure;
  /** No barriers: roles wait for their blockers. */
  readonly dependencyOrdered: boolean;
  /** The pause between two batches of a stage; 0 for none. */
  readonly batchPauseMs: number;
  /** The store pauses or aborts it when too much fails. */
  readonly hasBudget: boolean;
  /** Never UNSPECIFIED. */
  readonly concurrency: Concurrency;
  /** How many of its tasks may be released and not ended at a time; 0 for no limit. */
  readonly maxInFlight: number;
  /** Tasks of hosts in maintenance wait for its end. */
  readonly waitsForHosts: boolean;
  /** How long hosts that are away or in maintenance are waited for, from the request's making; absent for no end. */
  readonly offlineExpiryMs?: number;
  /** The maintenance window outside of which nothing is released; empty for none. */
  readonly window: string;
}

/** What the store says about whether a request goes on. */
export interface Standing {
  /** Which run of the request it is, from 1. */
  readonly run: number;
  /** A cancel was asked for, or a stage failed: nothing is released any more. */
  readonly stopping: boolean;
  /** Whether everything that may run is to be cancelled too. */
  readonly cancelRequested: boolean;
  /** Why it is stopping; empty otherwise. */
  readonly reason: string;
  /** Nothing is released until a person lets it go on. */
  readonly paused: boolean;
  /** Why it is paused; empty otherwise. */
  readonly pauseReason: string;
}

/** What a request is made of, as planned or as read from the store. */
export interface RunContents extends Standing {
  readonly requestId: bigint;
  readonly version: bigint;
  readonly options: RunOptions;
  /** How long ago it was made, when this was read. */
  readonly ageMs: number;
  /** The names of its hosts, where `offlineExpiryMs` needs them to be told; else empty. */
  readonly hostNames: ReadonlyMap<bigint, string>;
  /** The stages in order, each with its roles. */
  readonly stages: readonly { readonly roles: readonly RoleContents[] }[];
  /** In the order of their ids. */
  readonly tasks: readonly RunTask[];
}
