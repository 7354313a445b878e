import { randomUUID } from "node:crypto";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { asynchronous, requestParts } from "@howdah/command-store/testing/store";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";

type Store = Client<typeof CommandStoreService>;

const rounds = 10;
const tasksEach = 2_000;

/**
 * Makes large requests through one store and reads each through the other as soon as it is acknowledged: on a cluster its rows may
 * not have come there yet. Says what was not to be seen, in a line each.
 */
export async function checkCausality(writer: Store, reader: Store): Promise<string[]> {
  const wrong: string[] = [];
  const { hostId } = await writer.openSession({
    hostName: "causality",
    agentId: "agent",
    journalId: "journal",
    dispatcher: "dispatcher/causality",
    dispatcherToken: 1n,
  });
  const hosts = Array.from({ length: tasksEach }, () => hostId);
  for (let n = 1; n <= rounds; n += 1) {
    const sample = { key: randomUUID(), stages: [[{ role: "A", hosts }]] };
    const { request } = await writer.createRequest(asynchronous(requestParts(sample)));
    try {
      const requestId = request?.requestId ?? 0n;
      const { tasks } = await reader.listTasks({ requestId, pageSize: 10_000 });
      if (tasks.length === tasksEach) continue;
      wrong.push(`round ${n}: the other store saw ${tasks.length} of ${tasksEach} tasks`);
    } catch (error) {
      const { code, rawMessage } = ConnectError.from(error);
      if (code !== Code.NotFound) throw error;
      wrong.push(`round ${n}: the other store says ${rawMessage}`);
    }
  }
  return wrong;
}
