import { create } from "@bufbuild/protobuf";
import type { ExecutionCommand } from "@howdah/proto/howdah/v1/command";
import { Status } from "@howdah/proto/howdah/v1/status";
import {
  type OpenSessionRequest,
  OpenSessionResponseSchema,
} from "@howdah/proto/howdah/v1/store_sessions";
import type { Knex } from "knex";
import { inTransaction } from "../database/transaction.js";
import { type LeaseRow, readLeasesNamed } from "../store/leases.js";
import type { HostSession } from "../store/sessions.js";
import {
  insertHosts,
  moveTasksToSessions,
  readHostSessions,
  readOpenTasksOf,
  readTasksInOrder,
  updateHosts,
  writeSessions,
} from "../store/sessions-together.js";
import type { TaskRow } from "../store/task-rows.js";
import { assembleCommands, type CommandParts } from "./commands.js";
import { factsOf, mayTakeOver, nameOf, type OpenedSession } from "./open-session.js";
import { toTaskChange } from "./task-changes.js";

/** A session that is opened, before its answer is made. */
interface Opening {
  readonly request: OpenSessionRequest;
  readonly hostId: number;
  readonly epoch: number;
  readonly tasks: TaskRow[];
}

/**
 * Opens many hosts' next sessions in one transaction with a constant number of statements: after a dispatcher's death all of its hosts
 * register at once. What stands in the way of a session, a stale token or a journal that is gone is left to `openSession`: those requests
 * are not in the answer.
 * @param requests each of another host
 */
export async function openSessions(
  db: Knex,
  parts: CommandParts,
  storeId: string,
  requests: readonly OpenSessionRequest[],
  now: number,
): Promise<Map<OpenSessionRequest, OpenedSession>> {
  const openings = await inTransaction(db, (trx) => open(trx, requests, now));
  const queued = openings.flatMap(({ request, tasks }) => {
    const listed = new Set(request.listed.map(nameOf));
    return tasks.filter((task) => task.status === Status.QUEUED && !listed.has(nameOf(task)));
  });
  const commands = new Map<bigint, ExecutionCommand[]>();
  for (const command of await assembleCommands(db, parts, queued)) {
    const ofHost = commands.get(command.hostId);
    if (ofHost === undefined) commands.set(command.hostId, [command]);
    else ofHost.push(command);
  }
  return new Map(
    openings.map(({ request, hostId, epoch, tasks }) => {
      const response = create(OpenSessionResponseSchema, {
        ...{ storeId, hostId: BigInt(hostId), sessionEpoch: BigInt(epoch) },
        tasks: tasks.map((task) => toTaskChange(task)),
        commands: commands.get(BigInt(hostId)) ?? [],
      });
      return [request, { response, requestIds: [] }];
    }),
  );
}

async function open(
  trx: Knex.Transaction,
  requests: readonly OpenSessionRequest[],
  now: number,
): Promise<Opening[]> {
  const known = await readHostSessions(
    trx,
    requests.map(({ hostName }) => hostName),
  );
  const held = [...known.values()].filter((last) => last.open);
  const dispatchers = [...requests, ...held].map(({ dispatcher }) => dispatcher);
  const leases = await readLeasesNamed(trx, [...new Set(dispatchers)]);
  const plain = requests.filter((request) => isPlain(request, known.get(request.hostName), leases));
  if (plain.length === 0) return [];
  const fresh = plain.filter(({ hostName }) => !known.has(hostName));
  const made = await insertHosts(
    trx,
    // In one order whoever makes them, so that none waits for another in a circle.
    fresh
      .map((request) => factsOf(request, now))
      .sort((a, b) => (a.hostName < b.hostName ? -1 : 1)),
  );
  const openings = plain
    .map((request) => {
      const last = known.get(request.hostName);
      const hostId = last?.hostId ?? made.get(request.hostName);
      if (hostId === undefined) throw new Error(`host ${request.hostName} was not made`);
      const lastEpoch = last?.sessionEpoch ?? 0;
      const tasks: TaskRow[] = [];
      return { request, hostId, lastEpoch, epoch: lastEpoch + 1, tasks, isNew: last === undefined };
    })
    .sort((a, b) => a.hostId - b.hostId);
  await updateHosts(
    trx,
    openings
      .filter(({ isNew }) => !isNew)
      .map(({ request, hostId }) => ({ ...factsOf(request, now), hostId })),
    now,
  );
  await writeSessions(
    trx,
    openings.map(
      ({ request: { dispatcher, dispatcherToken, peerAddress }, hostId, lastEpoch }) => ({
        ...{ hostId, lastEpoch, dispatcher, peerAddress, openedAt: now },
        dispatcherToken: Number(dispatcherToken),
      }),
    ),
    now,
  );
  await moveTasks(trx, openings);
  return openings;
}

/** Whether nothing stands in the way of a session, and nothing was lost with the host's last journal. */
function isPlain(
  request: OpenSessionRequest,
  last: HostSession | undefined,
  leases: ReadonlyMap<string, LeaseRow>,
): boolean {
  const own = leases.get(request.dispatcher);
  if (own !== undefined && BigInt(own.token) > request.dispatcherToken) return false;
  if (last === undefined) return true;
  if (last.open && !mayTakeOver(request, last, leases.get(last.dispatcher))) return false;
  return last.journalId === request.journalId;
}

/** Moves the hosts' open tasks to their new sessions, and gives each opening its own and the listed ones. */
async function moveTasks(trx: Knex.Transaction, openings: readonly Opening[]): Promise<void> {
  const byHost = new Map(openings.map((opening) => [opening.hostId, opening]));
  const open = await readOpenTasksOf(trx, [...byHost.keys()]);
  await moveTasksToSessions(
    trx,
    open.map(({ taskId, hostId }) => ({ taskId, epoch: byHost.get(hostId)?.epoch ?? 0 })),
  );
  const openIds = new Set(open.map(({ taskId }) => taskId));
  const wanted = new Set(openIds);
  const listedBy = new Set<string>();
  for (const { request, hostId } of openings) {
    for (const { taskId } of request.listed) {
      wanted.add(Number(taskId));
      listedBy.add(`${hostId}/${taskId}`);
    }
  }
  for (const task of await readTasksInOrder(trx, [...wanted])) {
    // What a host lists that is another's is not told it.
    const isAsked = openIds.has(task.taskId) || listedBy.has(`${task.hostId}/${task.taskId}`);
    if (isAsked) byHost.get(task.hostId)?.tasks.push(task);
  }
}
