import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { createAuthority, noOpenssl } from "@howdah/rpc/certificates-fixture";
import { startInner, startTestGateway } from "./gateway-fixture.js";

describe("gateway with TLS", { skip: noOpenssl }, () => {
  it("serves both versions of HTTP on one port, to callers with a certificate only", async (t) => {
    const authority = createAuthority(t);
    const server = authority.issue("gateway", "DNS:localhost");
    const operator = authority.issue("alice");
    const { address } = await startInner(t);
    const { gateway } = await startTestGateway(t, address, {
      listen: "localhost:0",
      tls: { ...server, caFile: authority.caFile },
    });
    const baseUrl = `https://${gateway.address}`;
    const ca = readFileSync(authority.caFile);
    const nodeOptions = {
      ca,
      cert: readFileSync(operator.certFile),
      key: readFileSync(operator.keyFile),
    };
    const transports = [
      createConnectTransport({
        baseUrl,
        httpVersion: "1.1",
        nodeOptions: { ...nodeOptions, agent: false },
      }),
      createConnectTransport({ baseUrl, httpVersion: "2", nodeOptions }),
      createGrpcTransport({ baseUrl, nodeOptions }),
    ];
    for (const transport of transports) {
      const { hosts } = await createClient(FleetService, transport).listHosts({});
      assert.equal(hosts.length, 1);
    }
    const stranger = createConnectTransport({
      baseUrl,
      httpVersion: "1.1",
      nodeOptions: { ca, agent: false },
    });
    await assert.rejects(createClient(FleetService, stranger).listHosts({}));
  });
});
