import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { readSettings, SettingsError } from "./settings.js";
import { temporaryFolders } from "./testing/test-agent.js";

function iniOf(t: TestContext, text: string): string {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const file = join(folders.conf, "a.ini");
  writeFileSync(file, text);
  return file;
}

test("the least that must be said, and what follows", (t) => {
  const settings = readSettings(iniOf(t, "[server]\naddress = one.example.com:7440, 10.0.0.2:1\n"));
  assert.deepEqual(settings, {
    server: {
      addresses: ["one.example.com:7440", "10.0.0.2:1"],
      ...{ caFile: undefined, certFile: undefined, keyFile: undefined },
    },
    hostName: hostname().toLowerCase(),
    prefix: "/var/lib/howdah-agent",
    logLevel: "info",
    python: "python3",
    componentStatusIntervalMs: 60_000,
    labels: {},
  });
});

test("everything that can be said", (t) => {
  const file = iniOf(
    t,
    `; a comment
[server]
address = [::1]:7440
ca_file = /etc/ca.pem
cert_file = /etc/cert.pem
key_file = /etc/key.pem
[agent]
hostname = Web-1.Example.com
prefix = /srv/agent
log_level = debug
python = /usr/bin/python3
component_status_interval = 5m
[labels]
rack = r12
spare = true
`,
  );
  assert.deepEqual(readSettings(file), {
    server: {
      addresses: ["[::1]:7440"],
      ...{ caFile: "/etc/ca.pem", certFile: "/etc/cert.pem", keyFile: "/etc/key.pem" },
    },
    hostName: "web-1.example.com",
    prefix: "/srv/agent",
    logLevel: "debug",
    python: "/usr/bin/python3",
    componentStatusIntervalMs: 300_000,
    labels: { rack: "r12", spare: "true" },
  });
});

const server = "[server]\naddress = a:1\n";
const wrong: [string, RegExp][] = [
  ["", /\[server\] address is missing; set it to .*HOST:PORT$/],
  ["[server]\naddress =\n", /\[server\] address is empty$/],
  ["[server]\naddress = ,\n", /\[server\] address is empty$/],
  ["[server]\naddress = a\n", /\[server\] address "a" is no address; write HOST:PORT/],
  ["[server]\naddress = a:1,b:0\n", /\[server\] address "b:0" is no address; write HOST:PORT/],
  ["[server]\naddress = http://a:1\n", /\[server\] address "http:\/\/a:1" is no address/],
  ["[server]\naddress[] = a:1\naddress[] = b:1\n", /\[server\] address must be written once/],
  [`${server}adress = b:1\n`, /\[server\] adress is not known; known are address, ca_file,/],
  [`${server}ca_file = ca.pem\n`, /\[server\] ca_file must be an absolute path$/],
  [`${server}[agent]\nprefix = here\n`, /\[agent\] prefix must be an absolute path$/],
  [`${server}[agent]\nlog_level = loud\n`, /\[agent\] log_level must be debug, info, warn or err/],
  [`${server}[agent]\nhostname = a b\n`, /\[agent\] hostname has white space/],
  [`${server}[agent]\nhostname = ${"a".repeat(256)}\n`, /\[agent\] hostname has more than 255/],
  [`${server}[agent]\npython =\n`, /\[agent\] python is empty$/],
  ...["60", "0s", "25h", "-1s", "1.5s", "often", ""].map((value): [string, RegExp] => [
    `${server}[agent]\ncomponent_status_interval = ${value}\n`,
    value === ""
      ? /component_status_interval is empty$/
      : /_interval ".*" is no interval; write 30s/,
  ]),
  [`${server}[agent]\npythn = x\n`, /\[agent\] pythn is not known; known are hostname, prefix/],
  [`${server}[labels]\na b = c\n`, /\[labels\] a b is no label: letters, digits/],
  [`${server}[labels]\na = ${"b".repeat(64)}\n`, /\[labels\] a has more than 63 characters$/],
  [`${server}[security]\na = b\n`, /\[security\] or security .* there are the sections server,/],
  ["address = a:1\n", /\[address\] or address outside of a section is not known/],
];
for (const [text, expected] of wrong) {
  test(`names file, section and key: ${JSON.stringify(text.slice(0, 60))}`, (t) => {
    const file = iniOf(t, text);
    assert.throws(
      () => readSettings(file),
      (error: unknown) => {
        assert.ok(error instanceof SettingsError);
        for (const problem of error.problems) assert.ok(problem.startsWith(`${file}: `), problem);
        assert.ok(
          error.problems.some((problem) => expected.test(problem)),
          error.message,
        );
        return true;
      },
    );
  });
}

test("every problem has a line of its own", (t) => {
  const file = iniOf(t, "[server]\naddress = a\nx = 1\ny = 2\n[agent]\nprefix = p\n");
  assert.throws(() => readSettings(file), /^(.+\n){3}.+$/);
});

test("a file that cannot be read", () => {
  assert.throws(
    () => readSettings("/nowhere/a.ini"),
    /^SettingsError: \/nowhere\/a.ini cannot be read \(ENOENT\); name the file with --config$/,
  );
});
