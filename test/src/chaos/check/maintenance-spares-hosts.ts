import type { Check } from "./violation.js";

/**
 * A host in maintenance gets no tasks of operations on services that are asked for meanwhile.
 *
 * Sees: requests that were asked for after the word that put the host into maintenance was acknowledged, and acknowledged before the
 * word that ended it was said. Command lines name their hosts, and get them.
 */
export const maintenanceSparesHosts: Check = ({ maintenance, submissions, tasks }) =>
  submissions.flatMap(({ atMs, answeredMs, answer, asked }) => {
    if (answer.kind !== "acknowledged" || !answer.created || asked.names !== "services") return [];
    const { requestId } = answer;
    const spared = maintenance.filter(({ fromMs, toMs }) => fromMs < atMs && answeredMs < toMs);
    return spared.flatMap(({ host }) => {
      const own = tasks.filter((task) => task.requestId === requestId && task.host === host);
      if (own.length === 0) return [];
      const what = `request ${requestId} has ${own.length} tasks on ${host}, which was in maintenance`;
      const taskIds = own.slice(0, 3).map(({ taskId }) => taskId);
      return [{ rule: "maintenance spares hosts", what, taskIds, requestIds: [requestId] }];
    });
  });
