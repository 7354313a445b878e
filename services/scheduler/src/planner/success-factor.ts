import { InvalidOperationError, type Operation } from "./operation.js";

const halfIsEnough = new Set(["DATANODE", "TASKTRACKER", "GANGLIA_MONITOR", "HBASE_REGIONSERVER"]);

/** The share of a role's tasks that must succeed: what the operation says, else Ambari's defaults. */
export function successFactorOf(role: string, operation: Operation): number {
  const stated = operation.successFactors;
  if (!stated || !Object.hasOwn(stated, role)) return halfIsEnough.has(role) ? 0.5 : 1;
  const factor = stated[role] ?? Number.NaN;
  if (factor >= 0 && factor <= 1) return factor;
  throw new InvalidOperationError("successFactors", `${role} has ${factor}; it must be 0 to 1`);
}
