import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type {
  AgentService,
  ConnectRequestSchema,
  ConnectResponseSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import type { OpenStream } from "@howdah/rpc/served-stream";
import { AgentStream, type AgentStreamParts } from "./agent-stream.js";
import { createFetchPackage, type FetchPackageParts } from "./fetch-package.js";
import { createUploadOutput, type UploadOutputParts } from "./upload-output.js";

/** What serving agents needs. */
export interface AgentServiceParts extends AgentStreamParts, UploadOutputParts, FetchPackageParts {
  /** Why no agent is taken now; undefined when agents are. */
  closedBecause(): string | undefined;
}

/** What agents call but for `Connect`. */
export type AgentCalls = Omit<ServiceImpl<typeof AgentService>, "connect">;

/** How `Connect` is served: there are as many of its streams as agents. */
export type ConnectAgent = OpenStream<typeof ConnectRequestSchema, typeof ConnectResponseSchema>;

/** Makes the service that agents call, and what takes their streams. */
export function createAgentService(parts: AgentServiceParts): {
  readonly calls: AgentCalls;
  readonly connect: ConnectAgent;
} {
  return {
    calls: { uploadOutput: createUploadOutput(parts), fetchPackage: createFetchPackage(parts) },
    connect(stream) {
      const closed = parts.closedBecause();
      if (closed !== undefined) throw new ConnectError(closed, Code.Unavailable);
      return new AgentStream(parts, stream);
    },
  };
}
