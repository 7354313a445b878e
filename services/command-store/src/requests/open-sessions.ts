import { create } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import type { ExecutionCommand } from "@howdah/proto/howdah/v1/command";
import { Status } from "@howdah/proto/howdah/v1/status";
import {
  type OpenSessionRequest,
  type OpenSessionResponse,
  OpenSessionResponseSchema,
} from "@howdah/proto/howdah/v1/store_sessions";
import type { Knex } from "knex";
import type { Transaction } from "../database/together.js";
import { inTransaction } from "../database/transaction.js";
import { type HostFacts, insertHosts, updateHosts } from "../store/host-facts.js";
import { readLeasesNamed } from "../store/leases.js";
import {
  type HostSession,
  moveTasksToSessions,
  type OpenTask,
  readHostSessions,
  readOpenTasks,
  writeSessions,
} from "../store/sessions.js";
import { readTasksInOrder, type TaskRow } from "../store/task-rows.js";
import { assembleCommands, type CommandParts } from "./commands.js";
import { giveUpLost, nameOf } from "./give-up-lost.js";
import { conflictWith, staleDispatcher } from "./session-obstacles.js";
import { toTaskChange } from "./task-changes.js";

/** What became of registrations. */
export interface OpenedSessions {
  /** The answer to each: its session, what stands in its way, or why it is refused. */
  readonly answers: ReadonlyMap<OpenSessionRequest, OpenSessionResponse | ConnectError>;
  /** Requests of which tasks became UNKNOWN. */
  readonly requestIds: readonly number[];
}

/** A session that is opened, before its answer is made. */
interface Opening {
  readonly request: OpenSessionRequest;
  readonly hostId: number;
  /** Undefined for a new host. */
  readonly last: HostSession | undefined;
  readonly epoch: number;
  /** Its host's open ones and those that it lists. */
  readonly tasks: TaskRow[];
}

/** A registration that nothing stands in the way of. */
type Free = Pick<Opening, "request" | "last">;

/**
 * Opens hosts' next sessions, in one transaction with a constant number of statements, since all hosts of a dispatcher register at once after
 * its death: it makes or updates the hosts, gives each session its epoch, gives up on what lost journals held, and moves the hosts' open
 * tasks to the new sessions, so that a report on an old one changes nothing any more.
 * @param requests each of another host
 */
export async function openSessions(
  db: Knex,
  parts: CommandParts,
  storeId: string,
  requests: readonly OpenSessionRequest[],
  now: number,
): Promise<OpenedSessions> {
  const { openings, requestIds, answers } = await inTransaction(db, async (trx) => {
    const { free, answers } = await sort(trx, storeId, requests);
    if (free.length === 0) return { openings: [], requestIds: [], answers };
    const openings = await begin(trx, free, now);
    const open = await readOpenTasks(
      trx,
      openings.map(({ hostId }) => hostId),
    );
    const requestIds = await giveUpLost(trx, open, withNewJournals(openings), now);
    await moveTasks(trx, openings, open);
    return { openings, requestIds, answers };
  });
  const commands = await commandsFor(db, parts, openings);
  for (const { request, hostId, epoch, tasks } of openings) {
    const response = create(OpenSessionResponseSchema, {
      ...{ storeId, hostId: BigInt(hostId), sessionEpoch: BigInt(epoch) },
      tasks: tasks.map((task) => toTaskChange(task)),
      commands: commands.get(BigInt(hostId)) ?? [],
    });
    answers.set(request, response);
  }
  return { answers, requestIds };
}

/** Answers those that something stands in the way of, and gives the others. */
async function sort(
  trx: Transaction,
  storeId: string,
  requests: readonly OpenSessionRequest[],
): Promise<{ free: Free[]; answers: Map<OpenSessionRequest, OpenSessionResponse | ConnectError> }> {
  const known = await readHostSessions(
    trx,
    requests.map(({ hostName }) => hostName),
  );
  const held = [...known.values()].filter((last) => last.open);
  const dispatchers = [...requests, ...held].map(({ dispatcher }) => dispatcher);
  const leases = await readLeasesNamed(trx, [...new Set(dispatchers)]);
  const free: Free[] = [];
  const answers = new Map<OpenSessionRequest, OpenSessionResponse | ConnectError>();
  for (const request of requests) {
    const last = known.get(request.hostName);
    const refused = staleDispatcher(request, leases.get(request.dispatcher));
    const conflict = last && conflictWith(request, last, leases.get(last.dispatcher));
    if (refused !== undefined) answers.set(request, refused);
    else if (conflict !== undefined) {
      const hostId = BigInt(last?.hostId ?? 0);
      answers.set(request, create(OpenSessionResponseSchema, { storeId, hostId, conflict }));
    } else free.push({ request, last });
  }
  return { free, answers };
}

/** Makes or updates the hosts and writes their sessions; in the order of the hosts' ids. */
async function begin(trx: Transaction, free: readonly Free[], now: number): Promise<Opening[]> {
  const made = await insertHosts(
    trx,
    free.filter(({ last }) => last === undefined).map(({ request }) => factsOf(request)),
    now,
  );
  const openings = free
    .map(({ request, last }): Opening => {
      const hostId = last?.hostId ?? made.get(request.hostName);
      if (hostId === undefined) throw new Error(`host ${request.hostName} was not made`);
      return { request, hostId, last, epoch: (last?.sessionEpoch ?? 0) + 1, tasks: [] };
    })
    .sort((a, b) => a.hostId - b.hostId);
  await updateHosts(
    trx,
    openings
      .filter(({ last }) => last !== undefined)
      .map(({ request, hostId }) => ({ ...factsOf(request), hostId })),
    now,
  );
  const sessions = openings.map(({ request, hostId, epoch }) => {
    const { dispatcher, dispatcherToken, peerAddress } = request;
    return { hostId, epoch, dispatcher, dispatcherToken: Number(dispatcherToken), peerAddress };
  });
  await writeSessions(trx, sessions, now);
  return openings;
}

/** What a registration says about its host. */
function factsOf(request: OpenSessionRequest): HostFacts {
  const { hostName, agentId, journalId, bootId, agentVersion, labels, factsJson } = request;
  return {
    ...{ hostName, agentId, journalId, bootId, agentVersion },
    labels: JSON.stringify(labels),
    facts: factsJson || "{}",
  };
}

/** Those whose journal is not the one that their host had before, by their hosts' ids. */
function withNewJournals(openings: readonly Opening[]): Map<number, OpenSessionRequest> {
  const isNew = ({ request, last }: Opening) =>
    last !== undefined && last.journalId !== request.journalId;
  return new Map(openings.filter(isNew).map(({ hostId, request }) => [hostId, request]));
}

/** Moves the hosts' open tasks to their new sessions, and gives each opening its own and the listed ones. */
async function moveTasks(
  trx: Transaction,
  openings: readonly Opening[],
  open: readonly OpenTask[],
): Promise<void> {
  const byHost = new Map(openings.map((opening) => [opening.hostId, opening]));
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

/** The commands of the QUEUED tasks that no journal lists, by their hosts' ids. */
async function commandsFor(
  db: Knex,
  parts: CommandParts,
  openings: readonly Opening[],
): Promise<Map<bigint, ExecutionCommand[]>> {
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
  return commands;
}
