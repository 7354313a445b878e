import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { AlertSourceType } from "@howdah/proto/howdah/v1/alert";
import type { Json, JsonObject } from "../json.js";
import { checked } from "../testing/check-context.js";

const { WEB, METRIC, AMS, RECOVERY } = AlertSourceType;
let port = 0;
let securePort = 0;
const servers: Server[] = [];
const asked: string[] = [];
const folder = mkdtempSync(join(tmpdir(), "howdah-alerts-"));

/** Writes until nobody reads any more. */
function pour(response: ServerResponse): void {
  while (!response.destroyed && response.write("x".repeat(65_536)));
  response.once("drain", () => pour(response));
}

const beans: Record<string, Json> = {
  "java.lang:type=OperatingSystem": {
    name: "java.lang:type=OperatingSystem",
    SystemCpuLoad: 0.5,
    AvailableProcessors: 4,
    Name: "Linux",
  },
  "Hadoop:service=NameNode,name=FSNamesystem": { CapacityUsed: 80, CapacityRemaining: 20 },
};

function series(values: Record<string, Record<string, number>>): string {
  const metrics = Object.entries(values).map(([metricname, points]) => ({
    metricname,
    metrics: points,
  }));
  return JSON.stringify({ metrics });
}

function serve(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://x");
  asked.push(request.url ?? "");
  const to = (status: number, location: string) =>
    response.writeHead(status, { location }).end("elsewhere");
  response.on("error", () => undefined);
  switch (url.pathname) {
    case "/jmx": {
      const name = url.searchParams.get("qry") ?? "";
      const found = beans[name];
      return void response.end(JSON.stringify({ beans: found === undefined ? [] : [found] }));
    }
    case "/rubbish":
      return void response.end("<html>");
    case "/rubbish-beans":
      return void response.end('{"beans":[1,null,"x"]}');
    case "/forbidden":
      return void response.writeHead(403).end();
    case "/broken":
      return void response.writeHead(500).end();
    case "/once":
      return void to(302, "/");
    case "/loop":
      return void to(307, "/loop?again");
    case "/away":
      return void to(302, "http://127.0.0.1:1/");
    case "/file":
      return void to(302, "file:///etc/passwd");
    case "/nowhere":
      return void to(302, "http://[");
    case "/deaf":
      return;
    case "/slow-body":
      return void response.writeHead(200).write("{");
    case "/gigabyte":
      pour(response.writeHead(200));
      return;
    case "/headers":
      return void response.writeHead(200, { "x-long": "x".repeat(60_000) }).end();
    case "/ws/v1/timeline/metrics":
      return void response.end(
        series({ a: { 1: 10, 2: 20, 3: 30 }, b: { 1: 2, 2: 0, 3: 2, 4: 5 }, c: { 1: 1 } }),
      );
    default:
      return void response.end("hello");
  }
}

before(async () => {
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=other.example.com"],
      ...["-keyout", key, "-out", cert, "-days", "1"],
    ],
    { stdio: "pipe" },
  );
  const http = createServer(serve);
  const https = createHttpsServer({ key: readFileSync(key), cert: readFileSync(cert) }, serve);
  for (const server of [http, https]) {
    server.listen(0, "127.0.0.1");
    servers.push(server);
    await once(server, "listening");
  }
  const portOf = (server: Server) => {
    const address = server.address();
    return address !== null && typeof address === "object" ? address.port : 0;
  };
  [port, securePort] = [portOf(http), portOf(https)];
});
after(() => {
  for (const server of servers) {
    (server as ReturnType<typeof createServer>).closeAllConnections();
    server.close();
  }
  rmSync(folder, { recursive: true });
});

const reporting = {
  ok: { text: "{0} {3}" },
  warning: { text: "{0} ({3})" },
  critical: { text: "{0} ({3})" },
};

function web(path: string, more: JsonObject = {}): Promise<string> {
  return checked(WEB, { uri: { http: `127.0.0.1:${port}${path}`, ...more }, reporting });
}

test("a page is OK below status 400 or when its status is acceptable, else WARNING", async () => {
  assert.equal(await web(""), "OK 200 ");
  assert.equal(await web("/page?a=b"), "OK 200 ");
  assert.ok(asked.includes("/page?a=b"));
  assert.equal(await web("/forbidden"), "WARNING 403 (status 403)");
  assert.equal(await web("/forbidden", { acceptable_codes: [401, "403"] }), "OK 403 ");
  assert.equal(await web("/broken"), "WARNING 500 (status 500)");
  assert.match(
    await checked(WEB, { uri: { http: `127.0.0.1:${port}` } }),
    /^OK HTTP 200 response in 0[.][0-9]{4} seconds$/,
  );
});

test("redirects are followed, to other servers too, but not for ever and not to files", async () => {
  assert.equal(await web("/once"), "OK 200 ");
  asked.length = 0;
  assert.equal(await web("/loop"), "WARNING 307 (it redirects again and again)");
  assert.equal(asked.length, 6);
  assert.equal(await web("/away"), "CRITICAL 0 (connection refused)");
  assert.equal(await web("/file"), "OK 302 ");
  assert.equal(await web("/nowhere"), "OK 302 ");
});

test("who does not answer is CRITICAL", async () => {
  assert.equal(
    await checked(WEB, { uri: { http: "127.0.0.1:1" } }),
    "CRITICAL Connection failed to http://127.0.0.1:1: connection refused",
  );
  const quick = { connection_timeout: 0.2 };
  assert.equal(await web("/deaf", quick), "CRITICAL 0 (no answer within 0.2 s)");
  assert.match(await web("/headers"), /^CRITICAL 0 \(.*[Hh]eader/);
});

test("of a page that never ends, or has a gigabyte, no more is read than its status", async () => {
  assert.equal(await web("/slow-body"), "OK 200 ");
  assert.equal(await web("/gigabyte"), "OK 200 ");
});

test("https needs no certificate that anybody trusts", async () => {
  const uri = { https: `127.0.0.1:${securePort}` };
  assert.equal(await checked(WEB, { uri, reporting }), "OK 200 ");
});

test("what wants Kerberos is UNKNOWN, where security is on", async () => {
  const uri = {
    http: `127.0.0.1:${port}`,
    kerberos_keytab: "{{cluster-env/keytab}}",
    kerberos_principal: "{{cluster-env/principal}}",
  };
  const environment = { keytab: "/k", principal: "a@B" };
  const secure = { "cluster-env": { ...environment, security_enabled: "true" } };
  assert.match(await checked(WEB, { uri, reporting }, secure), /^UNKNOWN .*wants Kerberos/);
  assert.match(await checked(METRIC, { uri, jmx: jmx("x/y") }, secure), /^UNKNOWN .*Kerberos/);
  const open = { "cluster-env": { ...environment, security_enabled: "false" } };
  assert.equal(await checked(WEB, { uri, reporting }, open), "OK 200 ");
});

test("no address is a broken definition", async () => {
  assert.match(await checked(WEB, {}), /^UNKNOWN There is a problem with the alert definition: /);
});

function jmx(property: string | string[], more: JsonObject = {}): JsonObject {
  return { property_list: typeof property === "string" ? [property] : property, ...more };
}

function metric(block: Json, more: JsonObject = {}, http = `127.0.0.1:${port}`): Promise<string> {
  return checked(METRIC, { uri: { http, connection_timeout: 5 }, jmx: block, ...more });
}

const cpu = "java.lang:type=OperatingSystem/SystemCpuLoad";
const processors = "java.lang:type=OperatingSystem/AvailableProcessors";
const fs = "Hadoop:service=NameNode,name=FSNamesystem";
const percents = { warning: { value: 75 }, critical: { value: 80 } };

test("a metric is computed and compared; its text has the values and the outcome", async () => {
  asked.length = 0;
  const load = {
    warning: { value: 40, text: "{1} CPU, load {0:.1%}, {2}" },
    critical: { value: 60 },
  };
  assert.equal(
    await metric(jmx([cpu, processors], { value: "{0} * 100" }), { reporting: load }),
    "WARNING 4 CPU, load 50.0%, 50",
  );
  assert.equal(asked.length, 1); // one bean is read once
  assert.equal(
    await metric(
      jmx([`${fs}/CapacityUsed`, `${fs}/CapacityRemaining`], { value: "{0}/({0} + {1}) * 100.0" }),
      {
        reporting: { ...percents, critical: { value: 80, text: "{2:.0f}%, {0}, {1}" } },
      },
    ),
    "CRITICAL 80%, 80, 20",
  );
  assert.equal(await metric(jmx(processors)), "OK Value: 4");
});

test("a metric that cannot be read is UNKNOWN and says why", async () => {
  const url = `http://127.0.0.1:${port}`;
  const cases: [block: Json, text: string][] = [
    [jmx("no:such=Bean/X"), `Unable to read JMX from ${url}/jmx?qry=no:such=Bean: no such bean`],
    [jmx(`${fs}/Other`), `The JMX bean ${fs} has no Other`],
    [jmx(`${fs}/constructor`), `The JMX bean ${fs} has no constructor`],
    [
      jmx("a/b", { url_suffix: "/rubbish" }),
      `Unable to read JMX from ${url}/rubbish?qry=a: the answer is no JSON`,
    ],
    [
      jmx("a/b", { url_suffix: "/rubbish-beans" }),
      `Unable to read JMX from ${url}/rubbish-beans?qry=a: no such`,
    ],
    [
      jmx("a/b", { url_suffix: "/broken" }),
      `Unable to read JMX from ${url}/broken?qry=a: status 500`,
    ],
    [
      jmx("a/b", { url_suffix: "/gigabyte" }),
      `Unable to read JMX from ${url}/gigabyte?qry=a: the answer is longer than 16 MiB`,
    ],
    [
      jmx("java.lang:type=OperatingSystem/Name"),
      '"Linux" is no number, so that it cannot be compared',
    ],
    [jmx(cpu, { value: "{0} / 0" }), "a division by zero in"],
  ];
  for (const [block, text] of cases) {
    const found = await metric(block);
    assert.ok(found.startsWith(`UNKNOWN ${text}`), `${found}\nis not\nUNKNOWN ${text}`);
  }
  assert.match(
    await metric(jmx(cpu), {}, "127.0.0.1:1"),
    /^UNKNOWN Unable .*: connection refused$/,
  );
});

test("a body that never ends is given up in time", async () => {
  const uri = { http: `127.0.0.1:${port}`, connection_timeout: 0.1, read_timeout: 0.1 };
  const found = await checked(METRIC, { uri, jmx: jmx("a/b", { url_suffix: "/slow-body" }) });
  assert.match(found, /^UNKNOWN Unable .*: no answer within 0.2 s$/);
});

test("a broken metric definition says so", async () => {
  const broken: Json[] = [
    ...[undefined, jmx([]), jmx("no-slash"), jmx(cpu, { value: "import os" })].map(
      (block) => block ?? null,
    ),
    jmx(cpu, { value: "calculate(args)\ndef calculate(args):\n  return 1" }),
    jmx(cpu, { value: "{4}" }),
    jmx(Array.from({ length: 51 }, () => cpu)),
  ];
  for (const block of broken) {
    assert.match(
      await metric(block),
      /^UNKNOWN There is a problem with the alert definition: /,
      JSON.stringify(block),
    );
  }
});

function ams(more: JsonObject, source: JsonObject = {}): Promise<string> {
  const block = { metric_list: ["a"], app_id: "X", interval: 5, compute: "mean", ...more };
  return checked(AMS, { uri: { http: `127.0.0.1:${port}` }, ams: block, ...source });
}

test("a time series is computed and compared", async () => {
  asked.length = 0;
  assert.equal(
    await ams({}, { reporting: { warning: { value: 20 }, critical: { value: 30 } } }),
    "WARNING Value: 20",
  );
  const query = new URL(asked[0] ?? "", "http://x").searchParams;
  assert.equal(query.get("metricNames"), "a");
  assert.equal(query.get("hostname"), "web-1");
  assert.equal(Number(query.get("endTime")) - Number(query.get("startTime")), 300_000);
  assert.equal(await ams({ minimum_value: 10 }), "OK Value: 25");
  assert.equal(await ams({ compute: "count" }), "OK Value: 3");
  assert.equal(await ams({ compute: "sample_standard_deviation" }), "OK Value: 10");
  assert.equal(await ams({ compute: "sample_standard_deviation_percentage" }), "OK Value: 50");
  // At time 2 b is zero, and at time 4 there is no a.
  assert.equal(await ams({ metric_list: ["a", "b"], value: "{0} / {1}" }), "OK Value: 10");
});

test("a time series that says nothing is UNKNOWN", async () => {
  const few = /^UNKNOWN There are too few values of c to compute/;
  assert.match(await ams({ metric_list: ["c"], compute: "sample_standard_deviation" }), few);
  assert.match(await ams({ metric_list: ["c"], minimum_value: 1 }), few);
  assert.match(await ams({ metric_list: ["d"] }), /^UNKNOWN Unable to read .*: it has no d$/);
  const problem = /^UNKNOWN There is a problem with the alert definition: /;
  assert.match(await ams({ compute: "constructor" }), problem);
  assert.match(await ams({ compute: "__import__('os')" }), problem);
  assert.match(await ams({ metric_list: [] }), problem);
  assert.match(await ams({ value: "os.system()" }), problem);
  assert.match(await checked(AMS, { uri: "127.0.0.1:1" }), problem);
});

test("recoveries are counted against the thresholds", async () => {
  const counts = { since: Date.UTC(2026, 0, 2, 3, 4, 5), count: 0, atLimit: false };
  const recovered = (count: number, atLimit = false, source: JsonObject = {}) =>
    checked(RECOVERY, source, {}, { recovery: () => ({ ...counts, count, atLimit }) });
  const since = "since 2026-01-02 03:04:05";
  assert.equal(await checked(RECOVERY, {}), "OK NAMENODE has not been started by the agent");
  assert.equal(await recovered(1), `OK NAMENODE has been started by the agent once ${since}`);
  const text = `OK NAMENODE has been started by the agent 2 times ${since}`;
  assert.equal(await recovered(2, false, { reporting: { warning: { count: 3 } } }), text);
  assert.match(await recovered(2), /^WARNING /);
  assert.match(await recovered(4), /^CRITICAL /);
  assert.match(await recovered(1, true), /^CRITICAL /);
  const own = { warning: { count: 1, text: "{1} of {2}{0}" }, critical: { count: 9 } };
  assert.equal(await recovered(1, false, { reporting: own }), `WARNING 1 of NAMENODE ${since}`);
});
