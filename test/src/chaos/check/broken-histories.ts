// For check-history.test.ts: what breaks each rule.
import type { AlertsOfRun, Asked, Daemon, History, JournalEntry, StoredTask } from "./history.js";
import {
  alert,
  answer,
  daemonStart,
  ran,
  seen,
  shown,
  submission,
  task,
} from "./sample-history.js";

/** What a case changes of a clean history. */
export type Change = (history: History) => Partial<History>;

const changeTask = (taskId: number, change: Partial<StoredTask>): Change => {
  return ({ tasks }) => ({
    tasks: tasks.map((task) => (task.taskId === taskId ? { ...task, ...change } : task)),
  });
};

/** What nobody said a word about was asked for with more than was. */
const asking = (more: Partial<Asked>, change: Change = () => ({})): Change => {
  return (history) => ({
    words: [],
    submissions: history.submissions.map((one) => ({ ...one, asked: { ...one.asked, ...more } })),
    ...change(history),
  });
};

/** The first attempt of the task that was tried again ended so. */
const endedSo = (status: string): Change => {
  return ({ journals }) => ({
    journals: journals.map((journal) => ({
      ...journal,
      entries: journal.entries.map((one) =>
        one.taskId === 3 && one.attempt === 1 ? ended(one, status) : one,
      ),
    })),
  });
};

function ended(entry: JournalEntry, status: string): JournalEntry {
  return { ...entry, ...(entry.result && { result: { ...entry.result, status } }) };
}

/** The journals were deleted at that moment, and what was in them was not acknowledged. */
const wiped = (wipedAtMs: number, change: Change): Change => {
  return (history) => {
    const journals = (change(history).journals ?? history.journals).map((journal) => ({
      ...{ ...journal, wipedAtMs },
      entries: journal.entries.map((entry) => ({ ...entry, acknowledged: false })),
    }));
    return { journals };
  };
};

/** A schedule that is due every 15 s and tells of its last run 8, and the runs that it has made. */
export function scheduled(
  ...runs: { readonly requestId: number; readonly dueAt: number; readonly createdAt: number }[]
): Change {
  const name = { name: "chaos-1", scheduleId: 3, everyMs: 15_000 };
  const times = { madeAt: 61_000, pausedAt: 100_000, lastDueAt: 75_000, lastRequestId: 8 };
  return ({ requests }) => ({
    schedules: [{ ...name, ...times }],
    requests: requests.flatMap((request) => [
      request,
      ...runs.map(({ dueAt, ...run }) => ({ ...request, ...run, key: `schedule/3/${dueAt}` })),
    ]),
  });
}

const changeDaemon = (change: Partial<Daemon>): Change => {
  return ({ daemons }) => ({ daemons: daemons.map((daemon) => ({ ...daemon, ...change })) });
};

const changeAlerts = (change: Partial<AlertsOfRun>): Change => {
  return ({ alerts }) => ({ alerts: { ...alerts, ...change } });
};

const batchesOfOne = { canary: 1, batch: { size: 1 }, pauseMs: 100 };

/** Histories that break a rule, by the rule that must catch them. */
export const broken: Readonly<Record<string, Readonly<Record<string, Change>>>> = {
  "1 acknowledged": {
    "an acknowledged request is not stored": () => ({ requests: [] }),
    "it is stored half": ({ requests }) => ({
      requests: requests.map((request) => ({ ...request, ready: false })),
    }),
    "a key was answered with two requests": ({ submissions }) => ({
      submissions: [...submissions, submission(30, "key-1", 2)],
    }),
    "a key has two requests": ({ requests }) => ({
      requests: requests.flatMap((request) => [request, { ...request, requestId: 2 }]),
    }),
    "a key was taken for another content": ({ submissions }) => ({
      submissions: [...submissions, { ...submission(30, "key-1", 1), content: "STOP" }],
    }),
    "it is stored with another content": ({ requests }) => ({
      requests: requests.map((request) => ({ ...request, context: "stop all" })),
    }),
    "a task is on a host that nobody asked for": changeTask(2, { host: "host9" }),
  },
  "2 a step": {
    "a script ran twice": ({ scripts }) => ({ scripts: [...scripts, ...ran("host1", 1, 1, 900)] }),
    "a script ran on two hosts": ({ scripts }) => ({
      scripts: [...scripts, ...ran("host2", 1, 1, 100)],
    }),
    "a script that is not told its try ran once more than there were tries": ({ scripts }) => ({
      scripts: [...scripts, ...ran("host1", 1, 1, 900)].map((line) => ({ ...line, step: "?" })),
    }),
  },
  "3 a result": {
    "an acknowledged result is not in the store": changeTask(2, { status: "IN_PROGRESS" }),
    "the store has another result": changeTask(2, { status: "FAILED" }),
    "the store has another exit code": changeTask(2, { exitCode: 5 }),
    "a former attempt's result is not in the store": () => ({ formerAttempts: [] }),
    "the store does not know the task": ({ tasks }) => ({
      tasks: tasks.filter(({ taskId }) => taskId !== 1),
    }),
    "the agent has forgotten a result": ({ journals }) => ({ journals: journals.slice(0, 1) }),
    "a result was never acknowledged": ({ journals }) => ({
      journals: journals.map((journal) => ({
        ...journal,
        entries: journal.entries.map((entry) => ({ ...entry, acknowledged: entry.taskId !== 1 })),
      })),
    }),
  },
  "4 a final": {
    "COMPLETED became FAILED": ({ sightings }) => ({
      sightings: [...sightings, seen(310, 2, 1, "FAILED"), seen(320, 2, 1, "COMPLETED")],
    }),
    "the row is not what was seen": changeTask(2, { status: "ABORTED" }),
    "a failed task was run again although nobody asked": () => ({ words: [] }),
    "an attempt went back": ({ sightings }) => ({
      sightings: [...sightings, seen(800, 3, 1, "COMPLETED")],
    }),
  },
  "5 no task": {
    "a task started before the stage before it was done": ({ scripts }) => ({
      scripts: scripts.map((line) =>
        line.taskId === 2 ? { ...line, atMs: line.atMs - 50 } : line,
      ),
    }),
    "a task started before the stage before it began": ({ scripts }) => ({
      scripts: scripts.map((line) =>
        line.taskId === 2 ? { ...line, atMs: line.atMs - 150 } : line,
      ),
    }),
    "a task started although the stage before it failed": (history) => ({
      ...changeTask(1, { status: "FAILED" })(history),
      words: [],
    }),
    "a task started before its blocker was done": (history) => ({
      tasks: history.tasks.map((task) => ({ ...task, stageId: 0 })),
      submissions: history.submissions.map((one) => ({
        ...one,
        asked: { ...one.asked, blockers: { "LEADER-START": ["WORKER-START"] } },
      })),
    }),
  },
  "6 output": {
    "a chunk is missing": ({ output }) => ({
      output: output.map((stream) => ({ ...stream, chunks: stream.chunks.slice(1) })),
    }),
    "a chunk is stored twice": ({ output }) => ({
      output: output.map((stream) => {
        const [first] = stream.chunks;
        const size = first?.data.length ?? 0;
        const more = stream.chunks.map(({ position, data }) => ({
          position: position + size,
          data,
        }));
        return first === undefined ? stream : { ...stream, chunks: [first, ...more] };
      }),
    }),
    "the last chunk is missing": ({ output }) => ({
      output: output.map((stream) => ({ ...stream, chunks: stream.chunks.slice(0, 1) })),
    }),
    "it is another task's": ({ output }) => ({
      output: output.map((stream) => ({
        ...stream,
        chunks: stream.chunks.map(({ position, data }) => ({
          position,
          data: Buffer.from(Buffer.from(data).toString().replace("s:1:", "s:2:")),
        })),
      })),
    }),
    "the script printed more": ({ scripts }) => ({
      scripts: scripts.map((line) => (line.kind === "end" ? { ...line, lines: 3 } : line)),
    }),
    "the agent says that it was longer": ({ journals }) => ({
      journals: journals.map((journal) => ({
        ...journal,
        entries: journal.entries.map((entry) => ({
          ...entry,
          ...(entry.result && { result: { ...entry.result, stdoutBytes: 1_000 } }),
        })),
      })),
    }),
  },
  "7 nothing": {
    "a task was released after a failure": ({ sightings }) => ({
      words: [],
      sightings: [
        ...sightings.filter(({ taskId, atMs }) => taskId !== 2 && atMs < 500),
        seen(400, 2, 1, "QUEUED"),
      ],
    }),
  },
  "8 counters": {
    "a counter is wrong": ({ roles }) => ({
      roles: roles.map((role) => ({ ...role, counters: { COMPLETED: 2, FAILED: 0 } })),
    }),
    "a request is over although a task waits": changeTask(2, { status: "QUEUED" }),
    "a request is open although all is done": ({ requests }) => ({
      requests: requests.map((request) => ({ ...request, open: true })),
    }),
    "a request that is over is not at 100": ({ requests }) => ({
      requests: requests.map((request) => ({ ...request, progress: 99 })),
    }),
  },
  "9 a stale": {
    "a stale write was taken": ({ staleTries }) => ({
      staleTries: staleTries.map((one) => ({ ...one, outcome: "accepted" as const })),
    }),
    "an owner went back": ({ ownership }) => ({
      ownership: [...ownership, { atMs: 900, what: "request 1", owner: 2 }],
    }),
  },
  "10 one": {
    "an attempt started before the former had ended": ({ scripts }) => ({
      scripts: scripts.map((line) => {
        return line.taskId === 3 && line.attempt === 2 ? { ...line, atMs: line.atMs - 380 } : line;
      }),
    }),
    "nobody says that the former attempt ended": ({ scripts, journals }) => ({
      scripts: scripts.filter(({ kind, taskId }) => kind === "start" || taskId !== 3),
      journals: journals.slice(0, 1),
    }),
  },
  every: {
    "a task waits without a word": (history) => ({
      ...changeTask(2, { status: "QUEUED" })(history),
      requests: history.requests.map((request) => ({ ...request, open: true, progress: 50 })),
    }),
  },
  "what failed": {
    "it was tried again although nobody asked for that": () => ({ words: [] }),
    "it was tried again more often than asked for": asking(
      { retry: { maxAttempts: 2, backoffMs: 0 } },
      (history) => ({
        ...changeTask(3, { attempt: 3 })(history),
        journals: history.journals.map(({ entries, ...journal }) => ({
          ...journal,
          entries: entries.flatMap((one) =>
            one.taskId === 3 && one.attempt === 2 ? [ended(one, "FAILED")] : [one],
          ),
        })),
      }),
    ),
    "it was tried again too soon": asking({ retry: { maxAttempts: 3, backoffMs: 400 } }),
    "what completed was tried again": asking(
      { retry: { maxAttempts: 3, backoffMs: 0 } },
      endedSo("COMPLETED"),
    ),
    "it was interrupted and tried again with AT_MOST_ONCE": asking(
      { retry: { maxAttempts: 3, backoffMs: 0 }, guarantee: "AT_MOST_ONCE" },
      endedSo("INTERRUPTED"),
    ),
    "it was interrupted and not tried again with AT_LEAST_ONCE": asking(
      { guarantee: "AT_LEAST_ONCE" },
      (history) => ({
        ...endedSo("INTERRUPTED")(history),
        ...changeTask(3, { attempt: 1, status: "FAILED" })(history),
      }),
    ),
  },
  "one command": {
    "two tasks ran on a host at the same time": ({ scripts }) => ({
      scripts: scripts.map((line) =>
        line.taskId === 2 ? { ...line, atMs: line.atMs - 50 } : line,
      ),
    }),
  },
  EXCLUSIVE: {
    "another request's task ran meanwhile": asking({ concurrency: "EXCLUSIVE" }, (history) => ({
      tasks: [...history.tasks, { ...task(4, 0, "host2", "WORKER"), requestId: 2 }],
      scripts: [...history.scripts, ...ran("host2", 4, 1, 120)],
    })),
  },
  "no more": {
    "more was released than the cap allows": asking({ atOnce: 1 }),
    "two batches were released at the same time": asking({ rolling: batchesOfOne }),
    "a batch was released while the one before was tried again": asking(
      { rolling: batchesOfOne },
      ({ sightings }) => ({
        sightings: [
          ...sightings.filter(({ taskId }) => taskId === 1),
          seen(195, 2, 1, "QUEUED"),
          seen(200, 2, 2, "PENDING"),
          seen(210, 3, 1, "QUEUED"),
        ],
      }),
    ),
    "a batch began before the pause was over": asking(
      { rolling: batchesOfOne },
      ({ scripts, sightings }) => ({
        sightings: sightings.filter(({ taskId }) => taskId === 1),
        scripts: [...scripts.filter(({ taskId }) => taskId !== 3), ...ran("host2", 3, 1, 330)],
      }),
    ),
  },
  "what a wiped": {
    "it ran again": wiped(200, (history) => history),
    "the store says that it ended": wiped(950, ({ journals }) => ({
      journals: journals.map((journal) => ({
        ...journal,
        entries: journal.entries.map(({ result: _, ...entry }) => ({
          ...entry,
          state: "RUNNING" as const,
        })),
      })),
    })),
    "it was UNKNOWN and was tried again": ({ formerAttempts }) => ({
      words: [],
      formerAttempts: formerAttempts.map((one) => ({ ...one, status: "UNKNOWN" })),
    }),
  },
  "one run": {
    "a due time has two": scheduled(
      { requestId: 8, dueAt: 75_000, createdAt: 75_010 },
      { requestId: 9, dueAt: 75_000, createdAt: 75_020 },
    ),
    "it was not due then": scheduled({ requestId: 8, dueAt: 76_000, createdAt: 76_010 }),
    "it was made before it was due": scheduled({ requestId: 8, dueAt: 75_000, createdAt: 74_000 }),
    "it was missed": scheduled({ requestId: 8, dueAt: 75_000, createdAt: 175_000 }),
    "it was paused": scheduled({ requestId: 8, dueAt: 120_000, createdAt: 120_010 }),
    "the last run is not there": scheduled({ requestId: 7, dueAt: 75_000, createdAt: 75_010 }),
    "it never ran": scheduled(),
  },
  maintenance: {
    "a host got a task": (history) => ({
      maintenance: [{ host: "host2", fromMs: 5, toMs: 50 }],
      submissions: history.submissions.map((one) => ({
        ...one,
        asked: { ...one.asked, names: "services" as const },
      })),
    }),
  },
  "auto start": {
    "what should run does not in the end": changeDaemon({ runs: false }),
    "the store does not know that it runs": changeDaemon({ stored: "INSTALLED" }),
    "it was started although it ran": changeDaemon({
      lines: [{ kind: "start", pid: 13, atMs: 990, wasUp: true }],
    }),
    "it was started while it was being started": changeDaemon({
      lines: [...daemonStart(11, 100).slice(0, 1), ...daemonStart(12, 900)],
    }),
  },
  alerts: {
    "the store has another state than was found last": changeAlerts({
      last: [answer(950, "WARNING")],
    }),
    "the store has none": changeAlerts({ current: [], changes: [] }),
    "a host that was asked last gave no answer": changeAlerts({ last: [answer(950)] }),
    "a state was told that was never stored": changeAlerts({ answers: [answer(150, "WARNING")] }),
    "a change is stored twice": changeAlerts({
      changes: [alert("CRITICAL"), alert("OK"), alert("OK")],
    }),
    "the last change is not what is stored": changeAlerts({
      changes: [alert("OK"), alert("CRITICAL")],
    }),
  },
  processes: {
    "one ended by itself": () => ({ ailments: ["host3 ended by itself with code 137"] }),
  },
  progress: {
    "progress fell": ({ progress }) => ({ progress: [...progress, shown(110, 1, 90)] }),
  },
};
