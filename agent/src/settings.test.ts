import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { knownKeys } from "./settings/keys.js";
import { readSettings, SettingsError } from "./settings.js";
import { temporaryFolders } from "./testing/test-agent.js";

const day = 86_400_000;

function iniOf(t: TestContext, text: string): string {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const file = join(folders.conf, "a.ini");
  writeFileSync(file, text);
  return file;
}

test("the least that must be said, and what follows", (t) => {
  const file = iniOf(t, "[server]\naddress = one.example.com:7440, 10.0.0.2:1\n");
  assert.deepEqual(readSettings(file), {
    server: {
      addresses: ["one.example.com:7440", "10.0.0.2:1"],
      ...{ caFile: undefined, certFile: undefined, keyFile: undefined },
    },
    hostName: hostname().toLowerCase(),
    publicHostName: hostname().toLowerCase(),
    resourceOverrides: undefined,
    prefix: "/var/lib/howdah-agent",
    folders: { conf: dirname(file) },
    log: { level: "info", maxBytes: 10_000_000, maxFiles: 25 },
    python: "/usr/bin/python3",
    scripts: {
      ...{ protocol: "PROTOCOL_TLSv1_2", caCertPath: "", logOutFiles: false, logOutput: false },
      ...{ commandFiles: "keep", useSystemProxySettings: true, parallelExecution: false },
    },
    componentStatusIntervalMs: 60_000,
    clean: {
      intervalMs: day,
      dataMaxAgeMs: 30 * day,
      dataMaxBytes: 100_000_000,
      cacheMaxAgeMs: 30 * day,
    },
    labels: {},
    environment: {},
  });
});

test("everything that can be said", (t) => {
  const file = iniOf(
    t,
    `\uFEFF; a comment
# another
[server]
address = [::1]:7440 ; where the dispatcher is
ca_file = /etc/ca.pem
cert_file = /etc/cert.pem
key_file = /etc/key.pem
[agent]   # ours
hostname = Web-1.Example.com
public_hostname = web1.example.org
system_resource_overrides = /etc/howdah/facts/
prefix = /srv/agent/
data_dir = /data/agent
cache_dir = /var/cache/agent
log_dir = /var/log/agent
run_dir = /run/agent
tmp_dir = /data/scratch
log_level = debug
log_max_size = 500KB
log_max_files = 0
python = "/opt/my python/bin/python3"
python_path = /opt/lib:/opt/other
force_https_protocol = PROTOCOL_TLSv1_3
ca_cert_path = /etc/ca.crt
log_out_files = 1
log_command_executes = true
command_file_retention_policy = remove_on_success
use_system_proxy_settings = 0
parallel_execution = 1
component_status_interval = 5m
data_cleanup_interval = off
data_cleanup_max_age = 7d
data_cleanup_max_size = 2GB
cache_max_age = 90d
[labels]
rack = r12
spare = true
[environment]
JAVA_HOME = /usr/lib/jvm/java
GREETING = "a # b ; c"
`,
  );
  assert.deepEqual(readSettings(file), {
    server: {
      addresses: ["[::1]:7440"],
      ...{ caFile: "/etc/ca.pem", certFile: "/etc/cert.pem", keyFile: "/etc/key.pem" },
    },
    hostName: "web-1.example.com",
    publicHostName: "web1.example.org",
    resourceOverrides: "/etc/howdah/facts",
    prefix: "/srv/agent",
    folders: {
      ...{ conf: dirname(file), data: "/data/agent", cache: "/var/cache/agent" },
      ...{ log: "/var/log/agent", run: "/run/agent", tmp: "/data/scratch" },
    },
    log: { level: "debug", maxBytes: 500_000, maxFiles: 0 },
    python: "/opt/my python/bin/python3",
    scripts: {
      ...{ protocol: "PROTOCOL_TLSv1_3", caCertPath: "/etc/ca.crt", logOutFiles: true },
      ...{ logOutput: true, commandFiles: "remove_on_success", useSystemProxySettings: false },
      parallelExecution: true,
    },
    componentStatusIntervalMs: 300_000,
    clean: {
      ...{ intervalMs: 0, dataMaxAgeMs: 7 * day, dataMaxBytes: 2e9, cacheMaxAgeMs: 90 * day },
    },
    labels: { rack: "r12", spare: "true" },
    environment: {
      ...{ PYTHONPATH: "/opt/lib:/opt/other", JAVA_HOME: "/usr/lib/jvm/java" },
      GREETING: "a # b ; c",
    },
  });
});

const server = "[server]\naddress = a:1\n";
const agent = `${server}[agent]\n`;
/** A text, the line that is named (0: none), what is said. */
const wrong: [string, number, RegExp][] = [
  ["", 0, /\[server\] address is missing; set it to .*HOST:PORT$/],
  ["[server]\naddress =\n", 2, /\[server\] address is empty$/],
  ["[server]\naddress = ; none\n", 2, /\[server\] address is empty$/],
  ["[server]\naddress = ,\n", 2, /\[server\] address is empty$/],
  ["[server]\naddress = a\n", 2, /\[server\] address "a" is no address; write HOST:PORT/],
  ["[server]\naddress = a:1,b:0\n", 2, /\[server\] address "b:0" is no address; write HOST:PORT/],
  ["[server]\naddress = http://a:1\n", 2, /\[server\] address "http:\/\/a:1" is no address/],
  [`${server}\naddress = b:1\n`, 4, /\[server\] address must be written once; it is in line 2$/],
  [`${server}adress = b:1\n`, 3, /adress is not known, did you mean address\?; there are address,/],
  [
    `${server}hostname = b\n`,
    3,
    /\[server\] hostname is not known; hostname is a key of \[agent\]/,
  ],
  [`${server}zzz = b\n`, 3, /\[server\] zzz is not known; there are address, ca_file,/],
  [`${server}ca_file = ca.pem\n`, 3, /\[server\] ca_file must be an absolute path$/],
  [`${server}ca_file\n`, 3, /"ca_file" is neither \[SECTION\] nor KEY = VALUE$/],
  [`${agent}prefix = here\n`, 4, /\[agent\] prefix must be an absolute path$/],
  [`${agent}prefix = /\n`, 0, /\[agent\] prefix must not be \/$/],
  [`${agent}data_dir = /\n`, 0, /\[agent\] data_dir must not be \/$/],
  [`${agent}data_dir = /var/lib/howdah-agent\n`, 0, /data_dir must not be the prefix itself$/],
  [`${agent}data_dir = /x\ncache_dir = /x\n`, 0, /cache_dir \/x is in data_dir \/x; each needs/],
  [`${agent}data_dir = /x\ntmp_dir = /x/t\n`, 0, /tmp_dir \/x\/t is in data_dir \/x; each needs/],
  [`${agent}log_level = loud\n`, 4, /\[agent\] log_level must be debug, info, warn or error$/],
  [`${agent}log_max_files = 1001\n`, 4, /log_max_files "1001" must be a whole number, 0 to 1000$/],
  [`${agent}log_max_files = many\n`, 4, /log_max_files "many" must be a whole number/],
  [`${agent}hostname = a b\n`, 4, /\[agent\] hostname has white space/],
  [`${agent}hostname = ${"a".repeat(256)}\n`, 4, /\[agent\] hostname has more than 255/],
  [`${agent}python =\n`, 4, /\[agent\] python is empty$/],
  ...["60", "0s", "25h", "-1s", "1.5s", "often", "off"].map((value): [string, number, RegExp] => [
    `${agent}component_status_interval = ${value}\n`,
    4,
    /_interval ".*" is no duration; write 30s, 5m, 2h or 7d, 1s to 24h$/,
  ]),
  [`${agent}data_cleanup_interval = 1s\n`, 4, /"1s" is no duration; .*, 1h to 7d, or off$/],
  [`${agent}data_cleanup_max_age = 1h\n`, 4, /"1h" is no duration; .*, 1d to 3650d$/],
  [`${agent}data_cleanup_max_size = 100\n`, 4, /"100" is no size; write 500KB, .*, 1MB to 1000TB$/],
  [`${agent}pythn = x\n`, 4, /\[agent\] pythn is not known, did you mean python\?; there are host/],
  [`${agent}data_cleanup_max_size_MB = 1\n`, 4, /did you mean data_cleanup_max_size\?/],
  [`${server}[labels]\na b = c\n`, 4, /\[labels\] a b is no label: letters, digits/],
  [`${server}[labels]\na = ${"b".repeat(64)}\n`, 4, /\[labels\] a has more than 63 characters$/],
  [`${server}[environment]\n1a = b\n`, 4, /\[environment\] 1a is no variable's name/],
  [`${server}[environment]\nHOWDAH_TASK = b\n`, 4, /HOWDAH_TASK is the agent's own$/],
  [`${server}[agents]\n`, 3, /\[agents\] is not known, did you mean agent\?; there are server,/],
  [`${server}[security]\na = b\n`, 3, /\[security\] is not known; there are server, agent, lab/],
  ["address = a:1\n", 1, /address stands before the first \[SECTION\]$/],
];
for (const [text, line, expected] of wrong) {
  test(`names file, line, section and key: ${JSON.stringify(text.slice(-60))}`, (t) => {
    const file = iniOf(t, text);
    const place = line === 0 ? `${file}: ` : `${file}:${line}: `;
    assert.throws(
      () => readSettings(file),
      (error: unknown) => {
        assert.ok(error instanceof SettingsError);
        assert.ok(
          error.problems.some((problem) => problem.startsWith(place) && expected.test(problem)),
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

test("the README tells every key, its default and what it takes, and no other", () => {
  const readme = readFileSync(fileURLToPath(new URL("../README.md", import.meta.url)), "utf8");
  const told = [...readme.matchAll(/^\| `\[(\w+)\] (\w+)` \| (.+?) \| (.+?) \|/gm)].map(
    ([, section, name, shown, values]) => ({ section, name, shown, values }),
  );
  const known = Object.entries(knownKeys).flatMap(([section, keys]) =>
    Object.entries(keys).map(([name, { shown, values }]) => ({ section, name, shown, values })),
  );
  assert.deepEqual(
    told.filter(({ section }) => section === "server" || section === "agent"),
    known,
  );
});

test("the template has every key, with its default where it has one", (t) => {
  const path = fileURLToPath(new URL("../howdah-agent.ini", import.meta.url));
  const template = readFileSync(path, "utf8");
  assert.deepEqual(readSettings(iniOf(t, template)).server.addresses, [
    "dispatcher.example.com:7440",
  ]);
  const all = template.replaceAll(/^;(?=\w+ = )/gm, "");
  readSettings(iniOf(t, all));
  for (const keys of Object.values(knownKeys)) {
    for (const [name, { shown, fallback }] of Object.entries(keys)) {
      const value = new RegExp(`^${name} = (.+)$`, "m").exec(all)?.[1];
      assert.ok(value !== undefined, name);
      if (shown === `\`${fallback}\``) assert.equal(value, fallback);
    }
  }
});
