import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { clientTls, readServiceConfig, serverTls, serviceAddresses } from "./common-config.js";
import { ConfigError, type Fields, readConfig, variableOf } from "./config.js";
import { address, addresses, duration, flag, integer, oneOf, text } from "./fields.js";

function problems(fields: Fields, env: Record<string, string>): readonly string[] {
  try {
    readConfig(fields, env);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
  return [];
}

describe("readConfig()", () => {
  it("names variables after fields, durations without their unit", () => {
    assert.equal(variableOf("commandStore"), "HOWDAH_COMMAND_STORE");
    assert.equal(variableOf("lostAfterMs"), "HOWDAH_LOST_AFTER");
  });

  it("takes defaults where a variable is empty or not set", () => {
    const fields = { listen: address("127.0.0.1:7420"), lostAfterMs: duration("30s") };
    assert.deepEqual(readConfig(fields, { HOWDAH_LISTEN: "" }), {
      listen: "127.0.0.1:7420",
      lostAfterMs: 30_000,
    });
  });

  it("reads each kind of setting", () => {
    const fields = {
      commandStore: addresses(),
      pool: integer(10, { min: 1, max: 100 }),
      embedded: flag(false),
      mode: oneOf(["a", "b"], "a"),
      pauseMs: duration(),
    };
    assert.deepEqual(
      readConfig(fields, {
        HOWDAH_COMMAND_STORE: "10.0.0.1:7420,10.0.0.2:7420",
        HOWDAH_POOL: "20",
        HOWDAH_EMBEDDED: "true",
        HOWDAH_MODE: "b",
        HOWDAH_PAUSE: "1.5m",
      }),
      {
        commandStore: "10.0.0.1:7420,10.0.0.2:7420",
        pool: 20,
        embedded: true,
        mode: "b",
        pauseMs: 90_000,
      },
    );
  });

  it("says in one line what is wrong with each value", () => {
    const fields = {
      databaseUrl: text(),
      pool: integer(10, { min: 1, max: 100 }),
      embedded: flag(false),
      commandStore: addresses(),
      pauseMs: duration("1s"),
    };
    const env = {
      HOWDAH_POOL: "0",
      HOWDAH_EMBEDDED: "yes",
      HOWDAH_COMMAND_STORE: "10.0.0.1:7420,10.0.0.2",
      HOWDAH_PAUSE: "soon",
    };
    assert.deepEqual(problems(fields, env), [
      "HOWDAH_DATABASE_URL: is not set, and has no default",
      'HOWDAH_POOL: "0" is no whole number from 1 to 100',
      'HOWDAH_EMBEDDED: "yes" is none of true, false',
      'HOWDAH_COMMAND_STORE: "10.0.0.2" has no port; write it as HOST:PORT, such as 127.0.0.1:7400 or [::1]:7400',
      'HOWDAH_PAUSE: "soon" is no duration; write it as 250ms, 30s, 5m, 2h or 7d',
    ]);
  });
});

describe("readServiceConfig()", () => {
  const read = (env: Record<string, string>) => readServiceConfig("127.0.0.1:7410", {}, env);

  it("has the usual addresses", () => {
    const fields = { commandStore: serviceAddresses.commandStore };
    const config = readServiceConfig("127.0.0.1:7410", fields, {});
    assert.equal(config.listen, "127.0.0.1:7410");
    assert.equal(config.commandStore, "127.0.0.1:7420");
    assert.equal(serverTls(config), undefined);
    assert.equal(clientTls(config), undefined);
  });

  it("refuses an address that others reach without TLS, and says how to make a certificate", () => {
    assert.throws(
      () => read({ HOWDAH_LISTEN: "10.0.0.1:7410" }),
      /^ConfigError: HOWDAH_LISTEN: .*openssl/s,
    );
  });

  it("wants a certificate and its key together", () => {
    assert.throws(
      () => read({ HOWDAH_TLS_CERT: "cert.pem" }),
      /HOWDAH_TLS_KEY: is not set although HOWDAH_TLS_CERT is/,
    );
    assert.throws(
      () => read({ HOWDAH_TLS_CA: "ca.pem" }),
      /HOWDAH_TLS_CERT: is not set although HOWDAH_TLS_CA is/,
    );
    const config = read({ HOWDAH_TLS_CERT: "cert.pem", HOWDAH_TLS_KEY: "key.pem" });
    assert.deepEqual(serverTls(config), {
      certFile: "cert.pem",
      keyFile: "key.pem",
      caFile: undefined,
    });
  });

  it("wants an address to advertise where it listens on all", () => {
    const tls = { HOWDAH_TLS_CERT: "cert.pem", HOWDAH_TLS_KEY: "key.pem" };
    assert.throws(
      () => read({ ...tls, HOWDAH_LISTEN: "0.0.0.0:7410" }),
      /HOWDAH_ADVERTISE: is not set although HOWDAH_LISTEN is 0\.0\.0\.0:7410/,
    );
  });
});
