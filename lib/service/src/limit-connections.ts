import { subscribe } from "node:diagnostics_channel";
import { Server } from "node:net";
import type { Logger } from "pino";
import { openFileLimit } from "./open-files.js";

/** Open files that connections of callers leave to the process: for its own connections to other services and the database, and look-ups. */
const keptFiles = 100;
/** Between two log lines about the same trouble. */
const tellEveryMs = 60_000;
/** grpc-js does not show the servers that it makes; Node tells of each that begins to listen. */
const listening = "tracing:net.server.listen:asyncEnd";

/**
 * From now on each server of this process closes new connections while it has nearly as many as the process may have open files (100 less, or
 * half of a limit below 200), and says so in the log once a minute at most. Otherwise the last descriptor would go to a caller: Node closes
 * the next ones without a word, and the process can neither reach its store again nor open a file.
 */
export function limitConnections(log: Logger): void {
  const limit = openFileLimit();
  if (!Number.isFinite(limit)) return;
  const connections = Math.max(limit - keptFiles, Math.floor(limit / 2));
  let toldAt = Number.NEGATIVE_INFINITY;
  const tell = () => {
    if (performance.now() - toldAt < tellEveryMs) return;
    toldAt = performance.now();
    log.error(
      { connections, limit },
      `new connections are closed: the limit of open files is reached (${limit}, of which ${limit - connections} are kept back); raise it ("ulimit -n", LimitNOFILE= of systemd) to the number of hosts and ${keptFiles}, and start again`,
    );
  };
  subscribe(listening, (message) => {
    const { server } = message as { server: unknown };
    if (!(server instanceof Server)) return;
    server.maxConnections = connections;
    server.on("drop", tell);
  });
}
