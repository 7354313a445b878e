import { Code, ConnectError } from "@connectrpc/connect";

/** The error of a request that does not exist. */
export function noRequest(requestId: bigint): ConnectError {
  return new ConnectError(`there is no request ${requestId}`, Code.NotFound);
}

/** The error of a task that does not exist. */
export function noTask(taskId: bigint): ConnectError {
  return new ConnectError(`there is no task ${taskId}`, Code.NotFound);
}
