import type {
  AlertAnswer,
  DaemonLine,
  History,
  JournalEntry,
  ScriptLine,
  StoredAlert,
  StoredTask,
  Submission,
} from "./history.js";

const alertName = { name: "port", host: "host1" };

/** A history of one small run in which all is as it should be: two stages on two hosts, of which the last task was retried. */
export function cleanHistory(): History {
  const tasks = [
    task(1, 0, "host1", "LEADER"),
    task(2, 1, "host1", "WORKER"),
    { ...task(3, 1, "host2", "WORKER"), attempt: 2 },
  ];
  return {
    seed: 7,
    submissions: [submission(10, "key-1", 1), { ...submission(20, "key-1", 1) }],
    words: [{ atMs: 500, requestId: 1, kind: "retry", acknowledged: true }],
    requests: [
      {
        ...{ requestId: 1, key: "key-1", context: "start all", ready: true, open: false },
        ...{ status: "COMPLETED", progress: 100, run: 2, ownerToken: 3, aborted: false },
        ...{ cancelRequested: false, abortReason: "", createdAt: 0 },
      },
    ],
    stages: [0, 1].map((stageId) => ({ requestId: 1, stageId, status: "COMPLETED" })),
    roles: [role(0, "LEADER", 1), role(1, "WORKER", 2)],
    tasks,
    formerAttempts: [
      { taskId: 3, attempt: 1, status: "FAILED", exitCode: 1, stdoutLength: lengthOf(3, 1) },
    ],
    output: [stream(1, 1), stream(2, 1), stream(3, 1), stream(3, 2)],
    journals: [
      { host: "host1", journalId: "j1", entries: [entry(1, 1, 190), entry(2, 1, 290)] },
      { host: "host2", journalId: "j2", entries: [failed(entry(3, 1, 290)), entry(3, 2, 690)] },
    ],
    scripts: [
      ...ran("host1", 1, 1, 100),
      ...ran("host1", 2, 1, 200),
      ...ran("host2", 3, 1, 200),
      ...ran("host2", 3, 2, 600),
    ],
    sightings: [
      seen(50, 1, 1, "QUEUED"),
      seen(195, 1, 1, "COMPLETED"),
      seen(195, 2, 1, "QUEUED"),
      seen(195, 3, 1, "QUEUED"),
      seen(300, 2, 1, "COMPLETED"),
      seen(300, 3, 1, "FAILED"),
      seen(510, 3, 2, "PENDING"),
      seen(520, 3, 2, "QUEUED"),
      seen(700, 3, 2, "COMPLETED"),
    ],
    progress: [10, 40, 100].map((percent, i) => shown(100 + i, 1, percent)),
    ownership: [1, 2, 3].map((owner) => ({ atMs: 100 * owner, what: "request 1", owner })),
    staleTries: [
      { atMs: 150, what: "a stale scheduler", taskId: 1, outcome: "refused", detail: "stale" },
    ],
    databaseKills: [400],
    schedules: [],
    maintenance: [],
    daemons: [
      {
        ...{ host: "host1", runs: true, stored: "STARTED" },
        lines: [...daemonStart(11, 100), ...daemonStart(12, 900)],
      },
    ],
    alerts: {
      answers: [answer(150, "CRITICAL")],
      last: [answer(950, "OK")],
      current: [alert("OK")],
      changes: [alert("OK"), alert("CRITICAL"), alert("OK")],
    },
    crashes: [],
    ailments: [],
    explanations: new Map(),
  };
}

/** A call for the sample's request. */
export function submission(atMs: number, key: string, requestId: number): Submission {
  return {
    ...{
      atMs,
      answeredMs: atMs + 5,
      key,
      content: "START",
      answer: { kind: "acknowledged", requestId, created: true },
    },
    asked: {
      ...{ context: "start all", hosts: ["host1", "host2"], onFailure: "ABORT", maxFailures: 0 },
    },
  };
}

/** The two lines of a daemon's START. */
export function daemonStart(pid: number, atMs: number): DaemonLine[] {
  return [
    { kind: "start", pid, atMs },
    { kind: "end", pid, atMs: atMs + 50 },
  ];
}

/** What the sample's host found when it was asked for its alert. */
export function answer(atMs: number, state?: string): AlertAnswer {
  return { atMs, ...alertName, text: "found", ...(state !== undefined && { state }) };
}

/** The sample's alert in a state. */
export function alert(state: string): StoredAlert {
  return { ...alertName, state };
}

/** A task of the sample that has completed. */
export function task(taskId: number, stageId: number, host: string, name: string): StoredTask {
  return {
    ...{ taskId, requestId: 1, stageId, roleIndex: 0, host, role: name, roleCommand: "START" },
    ...{ status: "COMPLETED", attempt: 1, exitCode: 0, reason: "" },
    stdoutLength: lengthOf(taskId, 1),
  };
}

/** What the sample's store saw. */
export function seen(atMs: number, taskId: number, attempt: number, status: string) {
  return { atMs, taskId, requestId: 1, attempt, status };
}

/** What the sample's watcher was shown. */
export function shown(atMs: number, run: number, percent: number) {
  return { atMs, watcher: "watcher 1", requestId: 1, run, percent, status: "IN_PROGRESS" };
}

/** The two lines of a script that ran for 90 ms. */
export function ran(host: string, taskId: number, attempt: number, fromMs: number): ScriptLine[] {
  const line = { host, storeId: "s", taskId, attempt, step: "1.script" };
  return [
    { ...line, kind: "start", atMs: fromMs },
    { ...line, kind: "end", atMs: fromMs + 90, exitCode: 0, lines: 2 },
  ];
}

function role(stageId: number, name: string, completed: number) {
  return {
    ...{ requestId: 1, stageId, roleIndex: 0, role: name, roleCommand: "START" },
    ...{ successFactor: 1, counters: { COMPLETED: completed, FAILED: 0 } },
  };
}

function stream(taskId: number, attempt: number) {
  const lines = ["00000001", "00000002"].map((n) => Buffer.from(`${n} s:${taskId}:${attempt}\n`));
  const chunks = lines.map((data, i) => ({ position: i * data.length, data }));
  return { taskId, attempt, stream: 1, chunks };
}

function lengthOf(taskId: number, attempt: number): number {
  return stream(taskId, attempt).chunks.reduce((sum, { data }) => sum + data.length, 0);
}

function entry(taskId: number, attempt: number, endedMs: number): JournalEntry {
  return {
    ...{ storeId: "s", taskId, attempt, state: "ENDED", cancelled: false, acknowledged: true },
    result: {
      ...{ status: "COMPLETED", exitCode: 0, started: true, tries: 1 },
      ...{ startedMs: endedMs - 90, endedMs, stdoutBytes: lengthOf(taskId, attempt) },
    },
  };
}

function failed(entry: JournalEntry): JournalEntry {
  if (entry.result === undefined) return entry;
  return { ...entry, result: { ...entry.result, status: "FAILED", exitCode: 1 } };
}
