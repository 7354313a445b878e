import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { AlertSourceType, AlertState, ClusterAlertsSchema } from "@howdah/proto/howdah/v1/alert";
import type { Json, JsonObject } from "../json.js";
import { hasEnvironment, listProcesses } from "../process-table.js";
import { installAlertRunner } from "../run/install-supervisor.js";
import { alertsVariable } from "../run/script-environment.js";
import { silent, temporaryFolders, until } from "../testing/test-agent.js";
import { definitionOf } from "../testing/test-cluster.js";
import { checkAlert } from "./check-alert.js";
import { endLeftScripts, type ScriptContext } from "./check-script.js";

const { folders, remove } = temporaryFolders();
const digest = { hdfs: "a".repeat(64), common: "b".repeat(64), host: "c".repeat(64) };
const packages = join(folders.cache, "packages");
const cluster = create(ClusterAlertsSchema, {
  clusterId: 7n,
  packageDigests: { HDFS: digest.hdfs, AMS: digest.common },
  hostScriptsDigest: digest.host,
});
const params = (service_package_folder: string) => ({ service_package_folder });
const metadata = {
  serviceLevelParams: {
    HDFS: params("stacks/BIGTOP/3.2.0/services/HDFS/package"),
    AMS: params("common-services/AMS/3.0.0/package"),
  },
};
const root = {
  configurations: { "hdfs-site": { port: "1", secret: "s3cret" }, empty: {} },
  clusterHostInfo: { namenode_hosts: ["h1"] },
};

before(() => {
  installAlertRunner(folders);
  for (const each of Object.values(digest)) mkdirSync(join(packages, each), { recursive: true });
});
after(remove);

/** Writes a script of the HDFS package. */
function write(name: string, text: string, at = digest.hdfs): string {
  const path = join(packages, at, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

function context(more: Partial<ScriptContext> = {}) {
  const documents = {
    ...{ configurations: {}, topology: {}, ambariLevelParams: {}, hostLevelParams: {} },
    metadata,
  };
  const has = (each: string) => existsSync(join(packages, each));
  return {
    hostNames: ["web-1"],
    root,
    watched: { cluster, documents, definitions: [], alerts: [] },
    scripts: {
      packages: {
        folder: async (each: string) => {
          if (!has(each)) throw new Error(`the server cannot give ${each}`);
          return join(packages, each);
        },
        document: () => Promise.reject(new Error("no documents")),
      },
      facts: {
        ...{ hostName: "web-1", publicHostName: "web-1", cacheDir: folders.cache },
        scriptVariables: { GREETING: "hello" },
      },
      ...{ folders, settings: {}, log: silent },
      ...more,
    },
  };
}

async function found(path: Json, more: JsonObject = {}, signal = new AbortController().signal) {
  const definition = definitionOf("scripted", AlertSourceType.SCRIPT, { path, ...more });
  const alert = { clusterId: 7n, clusterName: "c1", tolerance: 1, definition };
  const { state, text, detail } = await checkAlert(alert, context(), signal);
  return { text: `${AlertState[state]} ${text}`, detail };
}

async function run(script: string, more: JsonObject = {}): Promise<string> {
  write("alerts/x.py", script);
  return (await found("BIGTOP/3.2.0/services/HDFS/package/alerts/x.py", more)).text;
}

test("a script is given its tokens, its parameters and the host, and says state and text", async () => {
  const script = `
import json, os, sys
print("noise")
def get_tokens():
    return ("{{hdfs-site}}", "{{hdfs-site/port}}", "{{no/thing}}", "http://{{hdfs-site/port}}/", "{{/clusterHostInfo/namenode_hosts}}")
def execute(configurations={}, parameters={}, host_name=None):
    print("more noise")
    assert sys.stdin.read() == ""
    return ("WARNING", [json.dumps([configurations, parameters, host_name, os.environ["GREETING"], os.getcwd()], sort_keys=True)])
`;
  const parameters = [
    { name: "critical", value: "1.5", type: "NUMERIC" },
    { name: "percent", value: 80.0, type: "PERCENT" },
    { name: "user", value: "5", type: "STRING" },
    { name: "odd", value: "x", type: "NUMERIC" },
    ...[{ name: "none" }, 3],
  ];
  const text = await run(script, { parameters });
  assert.ok(text.startsWith("WARNING ["), text);
  assert.deepEqual(JSON.parse(text.slice("WARNING ".length)), [
    {
      "{{hdfs-site}}": root.configurations["hdfs-site"],
      "{{hdfs-site/port}}": "1",
      "http://{{hdfs-site/port}}/": "http://1/",
      "{{/clusterHostInfo/namenode_hosts}}": ["h1"],
    },
    { critical: 1.5, percent: 80, user: "5", odd: "x", "kerberos.kinit.timer": 14_400_000 },
    ...["web-1", "hello", folders.prefix],
  ]);
});

test("a script that uses Ambari's library runs inside its Environment", async (t) => {
  const library = join(folders.tmp, "python", "resource_management", "core");
  mkdirSync(library, { recursive: true });
  t.after(() => rmSync(join(folders.tmp, "python"), { recursive: true }));
  for (const folder of [library, dirname(library)]) writeFileSync(join(folder, "__init__.py"), "");
  writeFileSync(
    join(library, "environment.py"),
    `class Environment:
    instances = []
    def __init__(self, basedir=None, tmp_dir=None):
        self.found = "%s %s" % (basedir, tmp_dir)
    def __enter__(self):
        Environment.instances.append(self)
    def __exit__(self, *rest):
        Environment.instances.pop()
`,
  );
  const script = `
from resource_management.core.environment import Environment
def execute(c, p, h): return "OK", [Environment.instances[-1].found]
`;
  write("alerts/x.py", script);
  const PYTHONPATH = join(folders.tmp, "python");
  const facts = { hostName: "h", publicHostName: "h", cacheDir: folders.cache };
  const found = await checkAlert(
    {
      ...{ clusterId: 7n, clusterName: "c1", tolerance: 1 },
      definition: definitionOf("x", AlertSourceType.SCRIPT, { path: "alerts/x.py" }),
    },
    context({ facts: { ...facts, scriptVariables: { PYTHONPATH } } }),
    new AbortController().signal,
  );
  assert.equal(found.text, `${join(packages, digest.hdfs)} ${folders.tmp}`);
});

test("a script that asks Ambari's agent how to speak TLS is told, though there is none", async () => {
  const script = `
from ambari_agent.AmbariConfig import AmbariConfig
import ssl
def execute(c, p, h):
    config = AmbariConfig.get_resolved_config()
    ssl.SSLContext(config.get_force_https_protocol_value())
    return "OK", [config.get_force_https_protocol_name() + config.get_ca_cert_file_path()]
`;
  assert.equal(await run(script), "OK PROTOCOL_TLSv1_2");
});

test("a script is found as Ambari names it, in a package of its service, and among the host scripts", async () => {
  const says = (what: string) => `def execute(c, p, h):\n    return "OK", ["${what}"]\n`;
  write("alerts/own.py", says("own"));
  write("alerts/ams.py", says("ams"), digest.common);
  write("disk.py", says("disk"), digest.host);
  assert.equal((await found("BIGTOP/3.2.0/services/HDFS/package/alerts/own.py")).text, "OK own");
  // Inherited: the path is the parent's.
  assert.equal((await found("BIGTOP/3.1.0/services/HDFS/package/alerts/own.py")).text, "OK own");
  assert.equal(
    (await found("stacks/BIGTOP/3.2.0/services/HDFS/package/alerts/own.py")).text,
    "OK own",
  );
  assert.equal((await found("AMS/3.0.0/package/alerts/ams.py")).text, "OK ams");
  assert.equal((await found("alerts/own.py")).text, "OK own");
  assert.equal((await found("disk.py")).text, "OK disk");
  assert.equal((await found("host_scripts/disk.py")).text, "OK disk");
  assert.equal((await found(join(packages, digest.host, "disk.py"))).text, "OK disk");
});

test("what is no script of a package is UNKNOWN, and not run", async () => {
  const outside = join(folders.tmp, "outside.py");
  writeFileSync(outside, `open("${join(folders.tmp, "ran")}", "w")\n`);
  const absent = "BIGTOP/3.2.0/services/HDFS/package/alerts/none.py";
  const cases: [path: Json, text: RegExp][] = [
    [absent, /^UNKNOWN Unable to find 'BIGTOP.*none.py'$/],
    [outside, /^UNKNOWN Unable to find '.*outside.py' in a package$/],
    [join(packages, "..", "..", "tmp", "outside.py"), /^UNKNOWN Unable to find/],
    ["../../../tmp/outside.py", /is no path of a Python script$/],
    ["alerts/../../../../tmp/outside.py", /is no path of a Python script$/],
    ["alerts/x.sh", /is no path of a Python script$/],
    ["", /it names no path$/],
    [3, /it names no path$/],
  ];
  for (const [path, text] of cases) assert.match((await found(path)).text, text);
  assert.ok(!existsSync(join(folders.tmp, "ran")));
});

const problems: [what: string, script: string, text: RegExp][] = [
  [
    "raises",
    "def execute(c, p, h):\n    raise ValueError('no way')",
    /^UNKNOWN ValueError: no way$/,
  ],
  ["raises while it is loaded", "import no_such_module", /^UNKNOWN ModuleNotFoundError: /],
  ["is no Python", "def execute(:", /^UNKNOWN SyntaxError: /],
  ["has no execute", "x = 1", /^UNKNOWN AttributeError: .*execute/],
  ["calls sys.exit", "import sys\nsys.exit(0)", /^UNKNOWN SystemExit: 0$/],
  [
    "ends its process",
    "import os\nos._exit(3)",
    /^UNKNOWN The script x.py says nothing: it ended with exit code 3$/,
  ],
  ["kills its process", "import os\nos.kill(os.getpid(), 9)", /exit code 137$/],
  ["returns nothing", "def execute(c, p, h): pass", /^UNKNOWN TypeError: it returned None instead/],
  [
    "returns another state",
    "def execute(c, p, h): return 'FINE', ['x']",
    /^UNKNOWN TypeError: it returned/,
  ],
  ["returns a text only", "def execute(c, p, h): return 'OK'", /^UNKNOWN TypeError: it returned/],
  ["returns no list", "def execute(c, p, h): return 'OK', 'plain'", /^OK plain$/],
  ["returns an empty list", "def execute(c, p, h): return 'SKIPPED', []", /^SKIPPED $/],
  [
    "returns a NUL and half a character",
    "def execute(c, p, h): return 'OK', ['a\\0b\\ud800']",
    /^OK ab.$/,
  ],
  ["returns a long text", "def execute(c, p, h): return 'OK', ['x' * 10**7]", /^OK x{3999}…$/],
  [
    "answers in its place",
    "import os\nos.write(3, b'{}\\n')\ndef execute(c, p, h): return 'OK', ['']",
    /^UNKNOWN The script x.py says nothing/,
  ],
  [
    "leaves a thread",
    "import threading, time\nthreading.Thread(target=lambda: time.sleep(600)).start()\ndef execute(c, p, h): return 'OK', ['done']",
    /^OK done$/,
  ],
];
for (const [what, script, text] of problems) {
  test(`a script that ${what}`, async () => assert.match(await run(script), text));
}

test("what a script that raised wrote to stderr is there for the log", async () => {
  const path = "alerts/x.py";
  write(path, "def execute(c, p, h):\n    return 1 / 0");
  const { text, detail } = await found(path);
  assert.equal(text, "UNKNOWN ZeroDivisionError: division by zero");
  assert.match(detail ?? "", /x[.]py", line 2, in execute/);
});

function tagged(): number {
  const tag = `${alertsVariable}=${folders.prefix}`;
  return listProcesses().filter(({ pid, zombie }) => !zombie && hasEnvironment(pid, tag)).length;
}

test("a script that floods is ended", async () => {
  const flood = "import sys\nwhile True: sys.stdout.write('x' * 65536)";
  assert.match(
    await run(flood),
    /^UNKNOWN The script x.py says nothing: it wrote more than 16 MiB$/,
  );
  const answers = "import os\nwhile True: os.write(3, b'x' * 65536)";
  assert.match(await run(answers), /it wrote more than 16 MiB$/);
  assert.equal(tagged(), 0);
});

test("a script that hangs is ended with all that it started, also what left it", async () => {
  const script = `
import subprocess, time
subprocess.Popen(["sleep", "600"])
subprocess.Popen(["sleep", "600"], start_new_session=True)
open("${join(folders.tmp, "hangs")}", "w").close()
time.sleep(600)
`;
  write("alerts/x.py", script);
  const stop = new AbortController();
  const check = found("alerts/x.py", {}, stop.signal);
  await until(() => existsSync(join(folders.tmp, "hangs")) && tagged() >= 3, "it to hang");
  stop.abort(new Error("over"));
  await assert.rejects(check, /over/);
  assert.equal(tagged(), 0);
});

test("a script that takes longer than it may is ended; its definition may grant it more", async () => {
  write("alerts/x.py", "import time\ntime.sleep(0.7)\ndef execute(c, p, h): return 'OK', ['done']");
  const check = async (source: JsonObject) => {
    const definition = definitionOf("slow", AlertSourceType.SCRIPT, {
      ...{ path: "alerts/x.py", ...source },
    });
    const alert = { clusterId: 7n, clusterName: "c1", tolerance: 1, definition };
    const limited = context({ scriptTimeoutMs: 300 });
    return (await checkAlert(alert, limited, new AbortController().signal)).text;
  };
  assert.equal(await check({}), "The script x.py says nothing: it did not end within 0.3 s");
  const parameters = [{ name: "check.command.timeout", value: "60.0" }];
  assert.equal(await check({ parameters }), "done");
  assert.equal(tagged(), 0);
});

test("what a script leaves running in its process group is ended with it", async () => {
  const script = `
import subprocess
def execute(c, p, h):
    subprocess.Popen(["sleep", "600"])
    return "OK", ["done"]
`;
  assert.equal(await run(script), "OK done");
  await until(() => tagged() === 0, "nothing to be left");
});

test("what a killed agent has left of its scripts is ended by the next one", async () => {
  write("alerts/x.py", "import time\ntime.sleep(600)");
  const stop = new AbortController();
  const check = found("alerts/x.py", {}, stop.signal);
  await until(() => tagged() === 1, "it to run");
  await endLeftScripts(folders, silent);
  assert.equal(tagged(), 0);
  assert.match(
    (await check).text,
    /^UNKNOWN The script x.py says nothing: it ended with exit code 137$|143$/,
  );
  stop.abort();
});

test("no secret is on the disk or on a command line", async () => {
  const script = `
def get_tokens(): return ["{{hdfs-site/secret}}"]
def execute(c, p, h):
    with open("/proc/self/cmdline") as line, open("/proc/self/environ") as environ:
        return "OK", [str("s3cret" in line.read() + environ.read()) + c["{{hdfs-site/secret}}"]]
`;
  assert.equal(await run(script), "OK Falses3cret");
  const left = readdirSync(folders.data, { recursive: true, withFileTypes: true });
  assert.deepEqual(
    left.filter((entry) => entry.isFile()).map(({ name }) => name),
    [],
  );
});

test("no interpreter is UNKNOWN", async () => {
  write("alerts/x.py", "");
  const definition = definitionOf("scripted", AlertSourceType.SCRIPT, { path: "alerts/x.py" });
  const alert = { clusterId: 7n, clusterName: "c1", tolerance: 1, definition };
  const none = context({ settings: { python: "/no/python3" } });
  const { text } = await checkAlert(alert, none, new AbortController().signal);
  assert.equal(text, "The script x.py says nothing: /no/python3 cannot be run (ENOENT)");
});
