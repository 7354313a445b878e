import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { endProcessesBelow, findProcesses } from "@howdah/launcher/find-processes";
import {
  freePorts,
  readStructuredOut,
  runAlert,
  runScript,
  type ScriptResult,
} from "./script-host.js";

const scripts = "services/MARIADB/package/scripts";
const components = {
  MARIADB_PRIMARY: "mariadb_primary.py",
  MARIADB_REPLICA: "mariadb_replica.py",
  MARIADB_CLIENT: "mariadb_client.py",
  MARIADB_SERVICE_CHECK: "service_check.py",
};
type Role = keyof typeof components;

let folder: string;
let basePort: number;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "howdah-stack-"));
  basePort = await freePorts(3);
});
// Servers outlive their scripts on purpose; they must not outlive the test, however that ended.
after(async () => {
  await endProcessesBelow(folder);
  await rm(folder, { recursive: true, force: true });
});

const prefixOf = (host: string) => join(folder, host);

/** What a command has otherwise than the others: keys of configurations, or a hook's path. */
interface Change {
  env?: Record<string, string>;
  site?: Record<string, string>;
  cluster?: Record<string, string>;
  script?: string;
}

/** What the cluster says. */
function root(change: Change) {
  return {
    clusterHostInfo: {
      all_hosts: ["host1", "host2", "host3"],
      mariadb_primary_hosts: ["host1"],
      mariadb_replica_hosts: ["host2", "host3"],
    },
    configurations: {
      "cluster-env": { minimum_free_mb: "1", ...change.cluster },
      "mariadb-env": {
        base_port: String(basePort),
        replication_password: "it's-\\secret",
        start_timeout_s: "60",
        ...change.env,
      },
      "mariadb-site": {
        innodb_log_file_size: "8M",
        innodb_buffer_pool_size: "16M",
        ...change.site,
      },
    },
  };
}

function run(host: string, role: Role, name: string, change: Change = {}): Promise<ScriptResult> {
  const script = change.script ?? `${scripts}/${components[role]}`;
  return runScript(prefixOf(host), host, { role, name, script, ...root(change) });
}

function alertOf(host: string, name: string, env: Record<string, string> = {}): Promise<string> {
  return runAlert(prefixOf(host), host, name, root({ env }));
}

async function pass(...args: Parameters<typeof run>): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  assert.equal(code, 0, `${args.slice(0, 3).join(" ")}:\n${stdout}${stderr}`);
  assert.equal(stderr, "");
  return stdout;
}

async function fail(expected: RegExp, ...args: Parameters<typeof run>): Promise<void> {
  const { code, stderr } = await run(...args);
  assert.equal(code, 1, stderr);
  assert.match(stderr, expected);
  assert.doesNotMatch(stderr, /Traceback/);
}

async function serversOf(host: string): Promise<number[]> {
  const named = (arg: string) => arg.includes(`${prefixOf(host)}/`);
  return (await findProcesses((args) => args.some(named))).map(({ pid }) => pid);
}

async function serverOf(host: string): Promise<number> {
  const [pid, ...more] = await serversOf(host);
  assert.ok(pid !== undefined && more.length === 0, `${host} has one server`);
  return pid;
}

describe("MARIADB on three hosts of one machine", () => {
  it("should say what is missing before anything is installed", async () => {
    await fail(/run INSTALL on host1 first/, "host1", "MARIADB_PRIMARY", "START");
    await fail(/ComponentIsNotRunning/, "host1", "MARIADB_PRIMARY", "STATUS");
    await fail(
      /nothing answers for host1 .*Is its component started\?/,
      "host2",
      "MARIADB_SERVICE_CHECK",
      "SERVICE_CHECK",
    );
  });

  it("should install all, twice", async () => {
    for (const words of [/Made an empty database/, /was left as it is/]) {
      assert.match(await pass("host1", "MARIADB_PRIMARY", "INSTALL"), words);
      assert.match(await pass("host2", "MARIADB_REPLICA", "INSTALL"), words);
    }
    await fail(/ComponentIsNotRunning/, "host1", "MARIADB_PRIMARY", "STATUS");
  });

  it("should start a primary that outlives its command, and find it running the second time", async () => {
    assert.match(await pass("host1", "MARIADB_PRIMARY", "START"), /Started mariadbd/);
    const pid = await serverOf("host1");
    assert.doesNotMatch(await readFile(`/proc/${pid}/environ`, "utf8"), /HOWDAH/);
    const stat = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]?.split(" ") ?? [];
    const groups = await readFile(`/proc/${process.pid}/stat`, "utf8");
    assert.notEqual(stat[3], groups.split(") ")[1]?.split(" ")[3], "a session of its own");
    assert.match(await pass("host1", "MARIADB_PRIMARY", "START"), /runs already/);
    assert.equal(await serverOf("host1"), pid);
    assert.match(await pass("host1", "MARIADB_PRIMARY", "STATUS"), new RegExp(`pid ${pid}`));
  });

  it("should start a replica that follows it", async () => {
    assert.match(await pass("host2", "MARIADB_REPLICA", "START"), /Replication runs at GTID/);
    assert.match(
      await pass("host2", "MARIADB_REPLICA", "START"),
      /Replication from .* runs already/,
    );
    const out = await readStructuredOut(prefixOf("host2"));
    assert.equal((out.mariadb as { port: number }).port, basePort + 1);
  });

  it("should tell by the service check that a replica is not started", () =>
    fail(/nothing answers for host3/, "host2", "MARIADB_SERVICE_CHECK", "SERVICE_CHECK"));

  it("should bring a replica that comes late up to date, and pass the service check", async () => {
    await pass("host3", "MARIADB_REPLICA", "INSTALL");
    await pass("host3", "MARIADB_REPLICA", "START");
    const told = await pass("host3", "MARIADB_SERVICE_CHECK", "SERVICE_CHECK");
    assert.match(
      told,
      /Wrote row \w+ on the primary host1\.\nRead it on replica host2 .*\nRead it on/,
    );
    const out = await readStructuredOut(prefixOf("host3"));
    const check = out.service_check as { replicas: { host: string }[] };
    assert.deepEqual(
      check.replicas.map(({ host }) => host),
      ["host2", "host3"],
    );
  });

  it("should find by its alerts that every server answers, at the port of its own", async () => {
    const answers = (n: number) => `OK MariaDB answers at 127.0.0.1:${basePort + n}`;
    assert.equal(await alertOf("host1", "mariadb_primary_answers"), answers(0));
    assert.equal(await alertOf("host2", "mariadb_replica_answers"), answers(1));
    assert.equal(await alertOf("host3", "mariadb_replica_answers"), answers(2));
    const log = await readFile(join(prefixOf("host1"), "mariadb", "log", "mariadbd.log"), "utf8");
    assert.doesNotMatch(log, /Aborted connection/);
    assert.match(
      await alertOf("host1", "mariadb_primary_answers", { replication_password: "new" }),
      /^WARNING .* refuses the account howdah: restart the component/,
    );
  });

  it("should come back after kill -9 of every server", async () => {
    await endProcessesBelow(folder, 0);
    await fail(/ComponentIsNotRunning/, "host2", "MARIADB_REPLICA", "STATUS");
    assert.equal(
      await alertOf("host2", "mariadb_replica_answers"),
      `CRITICAL MariaDB does not answer at 127.0.0.1:${basePort + 1}: Connection refused`,
    );
    await pass("host1", "MARIADB_PRIMARY", "START");
    await pass("host2", "MARIADB_REPLICA", "START");
    await pass("host3", "MARIADB_REPLICA", "START");
    await pass("host1", "MARIADB_SERVICE_CHECK", "SERVICE_CHECK");
  });

  it("should take up a new password on every host's START", async () => {
    const env = { replication_password: "another" };
    await fail(/refuses the account howdah/, "host1", "MARIADB_SERVICE_CHECK", "SERVICE_CHECK", {
      env,
    });
    await pass("host1", "MARIADB_PRIMARY", "START", { env });
    await pass("host2", "MARIADB_REPLICA", "RESTART", { env });
    await pass("host3", "MARIADB_REPLICA", "RESTART", { env });
    await pass("host1", "MARIADB_SERVICE_CHECK", "SERVICE_CHECK", { env });
    await pass("host1", "MARIADB_PRIMARY", "START");
    await pass("host2", "MARIADB_REPLICA", "START");
    await pass("host3", "MARIADB_REPLICA", "START");
  });

  it("should write the client's my.cnf, and say that a client does not run", async () => {
    await pass("host3", "MARIADB_CLIENT", "INSTALL");
    const text = await readFile(join(prefixOf("host3"), "mariadb-client", "my.cnf"), "utf8");
    assert.match(text, new RegExp(`\\nhost = 127.0.0.1\\nport = ${basePort}\\n`));
    assert.match(await pass("host3", "MARIADB_CLIENT", "RESTART"), /Wrote .*my\.cnf/);
    await fail(/ClientComponentHasNoStatus/, "host3", "MARIADB_CLIENT", "STATUS");
  });

  it("should stop and start again, with the data", async () => {
    for (const host of ["host2", "host3"]) {
      assert.match(await pass(host, "MARIADB_REPLICA", "STOP"), /shut down in/);
    }
    assert.match(await pass("host1", "MARIADB_PRIMARY", "STOP"), /shut down in/);
    assert.match(await pass("host1", "MARIADB_PRIMARY", "STOP"), /does not run/);
    for (const host of ["host1", "host2", "host3"]) assert.deepEqual(await serversOf(host), []);
    await pass("host1", "MARIADB_PRIMARY", "START");
    await pass("host2", "MARIADB_REPLICA", "START");
    await pass("host3", "MARIADB_REPLICA", "START");
    await pass("host2", "MARIADB_SERVICE_CHECK", "SERVICE_CHECK");
  });

  it("should say that a replica does not fit a primary with another database", async () => {
    await pass("host1", "MARIADB_PRIMARY", "STOP");
    await pass("host2", "MARIADB_REPLICA", "STOP");
    await rm(join(prefixOf("host1"), "mariadb"), { recursive: true });
    await pass("host1", "MARIADB_PRIMARY", "INSTALL");
    await pass("host1", "MARIADB_PRIMARY", "START");
    await fail(/the primary cannot continue this replica/, "host2", "MARIADB_REPLICA", "START");
    assert.match(await pass("host2", "MARIADB_REPLICA", "STATUS"), /runs/);
  });

  it("should keep the data at UNINSTALL, and refuse it while the server runs", async () => {
    await fail(/still runs: stop it first/, "host2", "MARIADB_REPLICA", "UNINSTALL");
    await pass("host2", "MARIADB_REPLICA", "STOP");
    assert.match(await pass("host2", "MARIADB_REPLICA", "UNINSTALL"), /The data are kept in/);
    assert.ok((await readdir(join(prefixOf("host2"), "mariadb", "data"))).includes("mysql"));
  });

  it("should name a server that does not start, with the end of its log", () =>
    fail(
      /ended while it started\. Its log, .*\n.*no_such_variable/s,
      "host2",
      "MARIADB_REPLICA",
      "START",
      {
        site: { no_such_variable: "1" },
      },
    ));
});

describe("the stack's hooks", () => {
  const hook = (name: string) => ({ script: `hooks/${name}/scripts/hook.py` });

  it("should stop an installation where the disk is too full", async () => {
    const script = hook("before-INSTALL");
    assert.match(
      await pass("host1", "MARIADB_PRIMARY", "INSTALL", script),
      /MiB free \(1 are needed\)/,
    );
    const cluster = { minimum_free_mb: "999999999" };
    await fail(/needs 999999999 MiB: free some space/, "host1", "MARIADB_PRIMARY", "INSTALL", {
      ...script,
      cluster,
    });
  });

  it("should look for mariadbd where a server is installed", async () => {
    const script = hook("before-INSTALL-MARIADB");
    assert.match(await pass("host1", "MARIADB_PRIMARY", "INSTALL", script), /is MariaDB \d+\.\d+/);
    assert.equal(await pass("host1", "MARIADB_CLIENT", "INSTALL", script), "");
  });

  it("should note what was installed, also at once", async () => {
    const roles: Role[] = ["MARIADB_PRIMARY", "MARIADB_CLIENT", "MARIADB_REPLICA"];
    await Promise.all(roles.map((role) => pass("host1", role, "INSTALL", hook("after-INSTALL"))));
    const noted = JSON.parse(await readFile(join(prefixOf("host1"), "installed.json"), "utf8"));
    assert.deepEqual(Object.keys(noted).sort(), [...roles].sort());
    assert.equal(noted.MARIADB_CLIENT.stack, "HOWDAH-1.0");
  });
});
