import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ExplainRequestResponseSchema } from "@howdah/proto/howdah/v1/request_service";
import type { Session } from "../session.js";
import { awayHostsLine, watchAwayHosts } from "./away-hosts.js";

type Answer = MessageInitShape<typeof ExplainRequestResponseSchema>;

const answer = (init: Answer) => create(ExplainRequestResponseSchema, init);
const h1 = { hostName: "h1", lost: false, awayMs: 4_000n };

describe("awayHostsLine()", () => {
  it("names hosts and what they are, a few of many", () => {
    assert.equal(
      awayHostsLine(answer({ awayHosts: [h1], awayHostCount: 1, taskCount: 1 })),
      "1 task waits for 1 host that is away: h1 (disconnected, 4.0 s)",
    );
    const many = Array.from({ length: 20 }, (_, n) => ({
      ...{ hostName: `h${n}`, lost: true, awayMs: 65_000n },
    }));
    assert.match(
      awayHostsLine(answer({ awayHosts: many, awayHostCount: 1_000, taskCount: 3_000 })),
      /^3000 tasks wait for 1000 hosts that are away: h0 \(HEARTBEAT_LOST, 1 min 5 s\), .* and 995 more$/,
    );
  });
});

describe("watchAwayHosts()", () => {
  it("tells what is new only, and when no host is away any more; a server that is away is passed over", async () => {
    const none = { awayHosts: [], awayHostCount: 0, taskCount: 0 };
    const one = { awayHosts: [h1], awayHostCount: 1, taskCount: 2 };
    const lost = { ...one, awayHosts: [{ ...h1, lost: true }] };
    const answers: (Answer | undefined)[] = [none, one, undefined, one, lost, lost, none, none];
    const stop = new AbortController();
    const explainRequest = () => {
      const next = answers.shift();
      if (answers.length === 0) stop.abort();
      return next === undefined ? Promise.reject(new Error("away")) : Promise.resolve(answer(next));
    };
    const lines: string[] = [];
    const session = { requests: { explainRequest } } as unknown as Session;
    const times = { firstMs: 1, everyMs: 1 };
    await watchAwayHosts(session, 7n, (line) => lines.push(line), stop.signal, times);
    assert.deepEqual(lines, [
      "2 tasks wait for 1 host that is away: h1 (disconnected, 4.0 s)",
      "2 tasks wait for 1 host that is away: h1 (HEARTBEAT_LOST, 4.0 s)",
      "",
    ]);
  });
});
