import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import type { AgentService } from "@howdah/proto/howdah/v1/agent_service";
import { peer } from "@howdah/rpc/peer";
import { type AgentStreamParts, createAgentStream } from "./agent-stream.js";
import { createFetchPackage, type FetchPackageParts } from "./fetch-package.js";
import type { OpenStreams } from "./open-streams.js";
import { createUploadOutput, type UploadOutputParts } from "./upload-output.js";

/** What serving agents needs. */
export interface AgentServiceParts extends AgentStreamParts, UploadOutputParts, FetchPackageParts {
  /** Why no agent is taken now; undefined when agents are. */
  closedBecause(): string | undefined;
  /** How long a stream may be open without a registration. */
  readonly registerWithinMs: number;
  /** Has the streams that are open. */
  readonly openStreams: OpenStreams;
}

/** Makes the service that agents call. */
export function createAgentService(parts: AgentServiceParts): ServiceImpl<typeof AgentService> {
  return {
    async *connect(requests, context: HandlerContext) {
      const closed = parts.closedBecause();
      if (closed !== undefined) throw new ConnectError(closed, Code.Unavailable);
      const stream = createAgentStream(parts, peer(context).address);
      const { outbox } = stream;
      parts.openStreams.add(stream);
      const timer = setTimeout(() => {
        if (stream.registered) return;
        const what = `no session was opened within ${parts.registerWithinMs} ms; register again`;
        outbox.end(new ConnectError(what, Code.DeadlineExceeded));
      }, parts.registerWithinMs);
      // Ends when the requests do, which they also do when this stream ends; a session that is being opened is waited for.
      void stream.read(requests, context.signal).finally(() => parts.openStreams.delete(stream));
      try {
        yield* outbox.messages();
      } finally {
        clearTimeout(timer);
        outbox.end();
      }
    },
    uploadOutput: createUploadOutput(parts),
    fetchPackage: createFetchPackage(parts),
  };
}
