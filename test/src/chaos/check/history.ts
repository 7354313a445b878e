/**
 * All that is known of a run once it is over, as plain data. Times are milliseconds since the machine's boot (`uptimeMs`) unless they
 * are said to be others. Statuses are the words of the store's tables.
 */
export interface History {
  readonly seed: number;
  readonly submissions: readonly Submission[];
  readonly words: readonly Word[];
  readonly requests: readonly StoredRequest[];
  readonly stages: readonly StoredStage[];
  readonly roles: readonly StoredRole[];
  readonly tasks: readonly StoredTask[];
  /** Superseded attempts. */
  readonly formerAttempts: readonly StoredAttempt[];
  readonly output: readonly StoredStream[];
  readonly journals: readonly Journal[];
  readonly scripts: readonly ScriptLine[];
  readonly sightings: readonly Sighting[];
  readonly progress: readonly ProgressSighting[];
  readonly ownership: readonly OwnershipSighting[];
  readonly staleTries: readonly StaleTry[];
  readonly schedules: readonly AskedSchedule[];
  readonly maintenance: readonly MaintenancePeriod[];
  readonly daemons: readonly Daemon[];
  readonly alerts: AlertsOfRun;
  /** When all that ran on a host was killed. */
  readonly crashes: readonly Crash[];
  /** What went wrong with the processes themselves: each ended by itself, or took far more memory than it should. */
  readonly ailments: readonly string[];
  /** When the database was killed: what was seen shortly before may have been lost, if nobody had been told. */
  readonly databaseKills: readonly number[];
  /** Why a task waits, where somebody says so. */
  readonly explanations: ReadonlyMap<number, readonly string[]>;
}

/** A call that asked for a request. The same key may come in several. */
export interface Submission {
  readonly atMs: number;
  /** When the answer was there, or it was clear that there is none. */
  readonly answeredMs: number;
  readonly key: string;
  /** Equal for calls that asked for the same thing. */
  readonly content: string;
  readonly asked: Asked;
  readonly answer:
    | { readonly kind: "acknowledged"; readonly requestId: number; readonly created: boolean }
    /** Refused for good, with the code's name. */
    | { readonly kind: "refused"; readonly code: string }
    /** No answer, or one that says nothing about the request. */
    | { readonly kind: "unanswered"; readonly code: string };
}

/** What a submission asked for, as far as the checks need it. */
export interface Asked {
  /** Unique in the run; stored with the request. */
  readonly context: string;
  /** Tasks may be on these hosts only. */
  readonly hosts: readonly string[];
  /**
   * What the operation names. Services: its tasks are where their components are, save hosts in maintenance, and only for what must
   * change, so that there may be none. Undefined: hosts.
   */
  readonly names?: "services";
  readonly onFailure: "ABORT" | "HOLD" | "SKIP" | "CONTINUE";
  /** In DEPENDENCY_ORDERED requests: which role commands must be done before one; undefined: stages are barriers. */
  readonly blockers?: Readonly<Record<string, readonly string[]>>;
  /** So many failed tasks stop the request; one more than none with ABORT and factors of 1. Undefined: no budget. */
  readonly maxFailures?: number;
  /** How it shares its hosts with other requests. Undefined: after older ones, one command at a time. */
  readonly concurrency?: "PARALLEL" | "EXCLUSIVE";
  /** Undefined: ONCE_WITH_JOURNAL, where an interrupted attempt is as final as any. */
  readonly guarantee?: "AT_MOST_ONCE" | "AT_LEAST_ONCE";
  /** Undefined: what has failed is not tried again by itself. */
  readonly retry?: AskedRetry;
  /** So many of its tasks may be released and not ended. Undefined: any number. */
  readonly atOnce?: number;
  /** Undefined: not in batches. */
  readonly rolling?: AskedRolling;
}

/** Further attempts of what failed or timed out. */
export interface AskedRetry {
  readonly maxAttempts: number;
  /** Before the second attempt; twice as long before each further one. */
  readonly backoffMs: number;
}

/** The hosts of each stage, in the order of their names: so many first, then batches of so many, or of so many percent of them. */
export interface AskedRolling {
  readonly canary: number;
  readonly batch: { readonly size: number } | { readonly percent: number };
  /** Between two batches. */
  readonly pauseMs: number;
}

/** A schedule of the run. Times are milliseconds since 1970. */
export interface AskedSchedule {
  readonly name: string;
  readonly scheduleId: number;
  /** It is due whenever the time is a multiple of this. */
  readonly everyMs: number;
  /** When its making was acknowledged. */
  readonly madeAt: number;
  /** When it was paused for good. */
  readonly pausedAt: number;
  /** What it tells of itself after that; 0: of none. */
  readonly lastDueAt: number;
  readonly lastRequestId: number;
}

/** Between these times a host was in maintenance for sure. */
export interface MaintenancePeriod {
  readonly host: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** A host's daemon, which its agent is to start whenever it does not run. */
export interface Daemon {
  readonly host: string;
  /** In the end. */
  readonly runs: boolean;
  /** What the store says of it then, such as "STARTED". */
  readonly stored: string;
  /** Of its START, in order. */
  readonly lines: readonly DaemonLine[];
}

/** A line that a daemon's START wrote down. */
export interface DaemonLine {
  readonly kind: "start" | "end";
  readonly pid: number;
  readonly atMs: number;
  /** With a start: the daemon ran already. */
  readonly wasUp?: boolean;
}

/** What was told of alerts, and what the store says of them in the end. */
export interface AlertsOfRun {
  readonly answers: readonly AlertAnswer[];
  /** Of each host to each alert, once all was healed. */
  readonly last: readonly AlertAnswer[];
  readonly current: readonly StoredAlert[];
  /** Every change of a state, in order. */
  readonly changes: readonly StoredAlert[];
}

/** What came of an alert that somebody had a host run. */
export interface AlertAnswer {
  readonly atMs: number;
  readonly name: string;
  readonly host: string;
  /** Undefined: there was no answer, and the text says why. */
  readonly state?: string;
  readonly text: string;
}

/** A state of an alert of a host. */
export interface StoredAlert {
  readonly name: string;
  readonly host: string;
  readonly state: string;
}

/** What a person said about a request after its submission. */
export interface Word {
  readonly atMs: number;
  readonly requestId: number;
  readonly kind: "cancel" | "retry" | "resolve" | "pause" | "resume";
  /** Whether it was acknowledged; it may have been heard all the same. */
  readonly acknowledged: boolean;
}

export interface StoredRequest {
  readonly requestId: number;
  readonly key: string;
  readonly context: string;
  readonly ready: boolean;
  readonly open: boolean;
  readonly status: string;
  readonly progress: number;
  readonly run: number;
  readonly ownerToken: number;
  readonly cancelRequested: boolean;
  readonly aborted: boolean;
  readonly abortReason: string;
  /** Milliseconds since 1970, by the database's clock. */
  readonly createdAt: number;
}

export interface StoredStage {
  readonly requestId: number;
  readonly stageId: number;
  readonly status: string;
}

/** A role of a stage with its counters, by the status's word. */
export interface StoredRole {
  readonly requestId: number;
  readonly stageId: number;
  readonly roleIndex: number;
  readonly role: string;
  readonly roleCommand: string;
  readonly successFactor: number;
  readonly counters: Readonly<Record<string, number>>;
}

export interface StoredTask {
  readonly taskId: number;
  readonly requestId: number;
  readonly stageId: number;
  readonly roleIndex: number;
  readonly host: string;
  readonly role: string;
  readonly roleCommand: string;
  readonly status: string;
  readonly attempt: number;
  readonly exitCode: number | undefined;
  readonly stdoutLength: number | undefined;
  readonly reason: string;
}

export interface StoredAttempt {
  readonly taskId: number;
  readonly attempt: number;
  readonly status: string;
  readonly exitCode: number | undefined;
  readonly stdoutLength: number | undefined;
}

/** One stream of one attempt, with its chunks in order. */
export interface StoredStream {
  readonly taskId: number;
  readonly attempt: number;
  /** 1 for standard output. */
  readonly stream: number;
  readonly chunks: readonly { readonly position: number; readonly data: Uint8Array }[];
}

/** What an agent's journal says in the end, or when it was wiped away. */
export interface Journal {
  readonly host: string;
  readonly journalId: string;
  /** When its data folder was deleted, its agent and all that ran there having been killed; undefined for the last one. */
  readonly wipedAtMs?: number;
  readonly entries: readonly JournalEntry[];
}

/** The end of all that ran on a host at that moment. */
export interface Crash {
  readonly host: string;
  readonly atMs: number;
}

export interface JournalEntry {
  readonly storeId: string;
  readonly taskId: number;
  readonly attempt: number;
  readonly state: "RECEIVED" | "RUNNING" | "ENDED";
  readonly cancelled: boolean;
  readonly acknowledged: boolean;
  readonly result?: {
    readonly status: string;
    readonly exitCode: number;
    readonly started: boolean;
    readonly tries: number;
    readonly startedMs: number;
    readonly endedMs: number;
    readonly stdoutBytes: number;
  };
}

/** A line that a script wrote down by itself. */
export interface ScriptLine {
  readonly host: string;
  readonly kind: "start" | "end";
  readonly storeId: string;
  readonly taskId: number;
  readonly attempt: number;
  /** "TRY.STEP", such as "1.script"; "?" where the script was not told. */
  readonly step: string;
  readonly atMs: number;
  /** With an end: how many lines it printed; undefined where that is not known. */
  readonly lines?: number;
  readonly exitCode?: number;
}

/** A task as somebody saw it committed and durable. */
export interface Sighting {
  readonly atMs: number;
  readonly taskId: number;
  readonly requestId: number;
  readonly attempt: number;
  readonly status: string;
}

/** A request as a watcher was shown it. */
export interface ProgressSighting {
  readonly atMs: number;
  readonly watcher: string;
  readonly requestId: number;
  readonly run: number;
  readonly percent: number;
  readonly status: string;
}

/** Who owned something, as somebody saw it committed and durable: `owner` may only grow. */
export interface OwnershipSighting {
  readonly atMs: number;
  /** Such as "request 7" or "host 3". */
  readonly what: string;
  readonly owner: number;
}

/** What a stale owner tried to change. */
export interface StaleTry {
  readonly atMs: number;
  readonly what: string;
  readonly taskId: number;
  /** What came of it. */
  readonly outcome: "refused" | "accepted" | "unanswered";
  readonly detail: string;
}
