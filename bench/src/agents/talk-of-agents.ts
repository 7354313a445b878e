import { randomUUID } from "node:crypto";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ConnectRequestSchema, ConnectResponseSchema } from "@howdah/proto/howdah/v1/agent_service";
import { hostName } from "@howdah/simulator/host-name";
import type { BareTalk } from "./bare-streams.js";

/** How many bytes an idle agent's messages have, and how often its heartbeat comes. */
export function talkOfAgents(heartbeatMs: number): BareTalk {
  const said = (request: MessageInitShape<typeof ConnectRequestSchema>) =>
    toBinary(ConnectRequestSchema, create(ConnectRequestSchema, request)).byteLength;
  const answer = create(ConnectResponseSchema, {
    message: {
      case: "registrationResult",
      value: {
        ...{ storeId: randomUUID(), hostId: 10_000n, sessionEpoch: 1n, maxUnackedReports: 100 },
        ...{ heartbeatMs, outputCap: 64n << 20n, serverTimeMs: BigInt(Date.now()) },
      },
    },
  });
  return {
    heartbeatMs,
    registerBytes: said({
      message: {
        case: "register",
        value: {
          ...{
            hostName: hostName("sim", 1),
            agentVersion: "0.1.0",
            factsJson: '{"simulated":true}',
          },
          ...{ agentId: randomUUID(), journalId: randomUUID(), bootId: randomUUID() },
          labels: { simulated: "true" },
        },
      },
    }),
    heartbeatBytes: said({ message: { case: "heartbeat", value: {} } }),
    answerBytes: toBinary(ConnectResponseSchema, answer).byteLength,
  };
}
