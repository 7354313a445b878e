import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { Behaviour } from "@howdah/proto/howdah/rpc/test/v1/echo";
import { createAuthority, noOpenssl } from "./certificates-fixture.js";
import { echoClient, serveEcho } from "./echo-fixture.js";
import { certificateIdentity } from "./peer.js";
import { channelCredentials, readServerTls, TlsFileError } from "./tls.js";

const unavailable = (error: unknown) => ConnectError.from(error).code === Code.Unavailable;

/** The address by the name that the test's certificates have. */
const byName = (address: string) => address.replace("127.0.0.1", "localhost");

describe("TLS", { skip: noOpenssl }, () => {
  test("a client that trusts the authority gets in, others do not", async (t) => {
    const ca = createAuthority(t);
    const stranger = createAuthority(t);
    const { address } = await serveEcho(t, { tls: ca.issue("server", "DNS:localhost") });
    const { client } = echoClient(t, byName(address), { tls: { caFile: ca.caFile } });
    assert.equal((await client.echo({ text: "safe" })).text, "safe");
    const byAddress = echoClient(t, address, {
      tls: { caFile: ca.caFile, serverName: "localhost" },
    });
    assert.equal((await byAddress.client.echo({ text: "safe" })).text, "safe");
    const wrongCa = echoClient(t, byName(address), { tls: { caFile: stranger.caFile } });
    await assert.rejects(wrongCa.client.echo({}), unavailable);
    const wrongName = echoClient(t, byName(address), {
      tls: { caFile: ca.caFile, serverName: "other" },
    });
    await assert.rejects(wrongName.client.echo({}), unavailable);
    await assert.rejects(echoClient(t, address).client.echo({}), unavailable);
  });

  test("mTLS: the handler knows who calls, by URI before common name; without a certificate nobody gets in", async (t) => {
    const ca = createAuthority(t);
    const stranger = createAuthority(t);
    const tls = { ...ca.issue("server", "DNS:localhost"), caFile: ca.caFile };
    const { address } = await serveEcho(t, { tls });
    const whoIs = async (own: { certFile?: string; keyFile?: string }) => {
      const { client } = echoClient(t, byName(address), { tls: { caFile: ca.caFile, ...own } });
      const { text } = await client.echo({ behaviour: Behaviour.DESCRIBE_CALLER });
      return text.split("\n")[1];
    };
    const uri = ca.issue("host-7", "DNS:host-7.example,URI:howdah://host/7");
    assert.equal(await whoIs(uri), "howdah://host/7");
    assert.equal(await whoIs(ca.issue("host-8")), "host-8");
    assert.equal(await whoIs(ca.issue("")), "nobody");
    await assert.rejects(whoIs({}), unavailable);
    await assert.rejects(whoIs(stranger.issue("host-7")), unavailable);
  });

  test("client certificates can be optional: who has none, or one of a stranger, has no identity", async (t) => {
    const ca = createAuthority(t);
    const stranger = createAuthority(t);
    const tls = {
      ...ca.issue("server", "DNS:localhost"),
      caFile: ca.caFile,
      requireClientCertificate: false,
    };
    const { address } = await serveEcho(t, { tls });
    const whoIs = async (own: { certFile?: string; keyFile?: string }) => {
      const { client } = echoClient(t, byName(address), { tls: { caFile: ca.caFile, ...own } });
      return (await client.echo({ behaviour: Behaviour.DESCRIBE_CALLER })).text.split("\n")[1];
    };
    assert.equal(await whoIs(ca.issue("host-1")), "host-1");
    assert.equal(await whoIs({}), "nobody");
    assert.equal(await whoIs(stranger.issue("host-1")), "nobody");
  });

  test("a file that is missing, no PEM or of another pair is named", (t) => {
    const ca = createAuthority(t);
    const { certFile, keyFile } = ca.issue("server");
    const other = ca.issue("other");
    const missing = join(ca.folder, "missing.pem");
    const garbage = join(ca.folder, "garbage.pem");
    writeFileSync(garbage, "nonsense");
    const refused = (call: () => unknown, pattern: RegExp) =>
      assert.throws(call, (error) => {
        assert.ok(error instanceof TlsFileError);
        assert.match(error.message, pattern);
        assert.ok(!error.message.includes("\n"));
        return true;
      });
    refused(
      () => readServerTls({ certFile: missing, keyFile }),
      /cannot read certificate file .*missing\.pem: ENOENT/,
    );
    refused(
      () => readServerTls({ certFile, keyFile: ca.folder }),
      /cannot read private key file .*: EISDIR/,
    );
    refused(
      () => readServerTls({ certFile: garbage, keyFile }),
      /garbage\.pem does not hold a certificate in PEM/,
    );
    refused(
      () => readServerTls({ certFile, keyFile: garbage }),
      /garbage\.pem does not hold a private key in PEM/,
    );
    refused(
      () => readServerTls({ certFile, keyFile, caFile: garbage }),
      /garbage\.pem does not hold a certificate/,
    );
    refused(
      () => readServerTls({ certFile, keyFile: other.keyFile }),
      /private key .*key does not belong to certificate .*pem/,
    );
    refused(
      () => readServerTls({ certFile, keyFile, requireClientCertificate: true }),
      /no caFile/,
    );
    refused(() => channelCredentials({ certFile }), /given without a keyFile/);
    refused(
      () => channelCredentials({ caFile: missing }),
      /cannot read certificate file .*missing\.pem/,
    );
  });
});

test("an alternative name cannot pretend to be another", () => {
  const identity = (subjectaltname: string, CN?: string) =>
    certificateIdentity({ subjectaltname, subject: { CN } } as Parameters<
      typeof certificateIdentity
    >[0]);
  assert.equal(identity("DNS:a, URI:howdah://x, URI:howdah://y", "cn"), "howdah://x");
  assert.equal(identity('DNS:"evil, URI:howdah://admin"', "cn"), "cn");
  assert.equal(identity('URI:"howdah://a, b"'), "howdah://a, b");
  assert.equal(identity("DNS:a"), undefined);
  assert.equal(identity(""), undefined);
});
