import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { stackFolder } from "./script-host.js";

const script = join(stackFolder, "custom_actions/scripts/check_host.py");

interface Result {
  exit_code: number;
  message: string;
  [key: string]: unknown;
}

/** Runs the action as an agent does. */
function check(t: TestContext, commandParams: unknown) {
  const folder = mkdtempSync(join(tmpdir(), "howdah-check-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const command = join(folder, "command-7.json");
  const out = join(folder, "structured-out-7.json");
  writeFileSync(command, JSON.stringify({ commandParams }));
  const args = ["-B", script, "ACTIONEXECUTE", command, folder, out, "INFO", folder];
  const { status, stdout, stderr } = spawnSync("python3", args, { encoding: "utf8" });
  const results = existsSync(out) ? JSON.parse(readFileSync(out, "utf8")) : {};
  return { status, stdout, stderr, folder, results: results as Record<string, Result> };
}

test("Java's home", (t) => {
  const home = mkdtempSync(join(tmpdir(), "howdah-java-"));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  mkdirSync(join(home, "bin"));
  writeFileSync(join(home, "bin", "java"), "");
  chmodSync(join(home, "bin", "java"), 0o755);
  const found = check(t, { check_execute_list: "java_home_check", java_home: home });
  assert.deepEqual(found.results, {
    java_home_check: { exit_code: 0, message: "Java home exists!" },
  });
  const missing = check(t, { check_execute_list: "java_home_check", java_home: "/not/there" });
  // What is wrong is said in the result; the task does not fail of it.
  assert.equal(missing.status, 0);
  assert.deepEqual(missing.results.java_home_check, {
    ...{ exit_code: 1, message: "Java home doesn't exist!" },
  });
});

test("names of hosts", (t) => {
  const { results } = check(t, {
    check_execute_list: "host_resolution_check",
    hosts: "localhost, no-such-host.invalid",
  });
  const { failures, ...rest } = results.host_resolution_check as Result;
  assert.deepEqual(rest, {
    exit_code: 0,
    message: "There were 1 host(s) that could not resolve to an IP address.",
    ...{ failed_count: 1, success_count: 1, hosts_with_failures: ["no-such-host.invalid"] },
  });
  const [failure] = failures as Record<string, unknown>[];
  assert.deepEqual([failure?.host, failure?.type], ["no-such-host.invalid", "FORWARD_LOOKUP"]);
});

test("a database that cannot be reached fails the task; of one that can be, what was not tried is said", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const params = {
    check_execute_list: "db_connection_check,java_home_check",
    db_connection_url: `jdbc:mysql://127.0.0.1:${port}/hive`,
  };
  const there = check(t, params);
  assert.equal(there.status, 0);
  assert.match(
    there.results.db_connection_check?.message ?? "",
    /takes connections; whether it lets the user in was not tried/,
  );
  await new Promise((resolve) => server.close(resolve));
  const gone = check(t, params);
  assert.equal(gone.status, 1);
  assert.match(gone.stderr, /the database at 127\.0\.0\.1 port \d+ cannot be reached/);
  assert.equal(gone.results.java_home_check?.exit_code, 1);
  const none = check(t, { ...params, db_connection_url: "rubbish" });
  assert.match(none.stderr, /names no host and port/);
});

test("what a former stack left, and files for who cleans it up", (t) => {
  const { status, results, folder, stdout } = check(t, {
    check_execute_list: "*BEFORE_CLEANUP_HOST_CHECKS*",
  });
  assert.equal(status, 0);
  assert.deepEqual(Object.keys(results), [
    ...["last_agent_env_check", "installed_packages", "existing_repos", "transparentHugePage"],
  ]);
  const environment = results.last_agent_env_check ?? {};
  for (const name of [
    ...["hostHealth", "umask", "transparentHugePage", "firewallRunning", "firewallName"],
    ...["reverseLookup", "alternatives", "existingUsers", "stackFoldersAndFiles"],
  ]) {
    assert.ok(name in environment, name);
  }
  assert.ok(Array.isArray(results.installed_packages));
  assert.ok(Array.isArray(results.existing_repos));
  assert.match(stdout, /^installed_packages: \d+ found$/m);
  const text = (name: string) => readFileSync(join(folder, name), "utf8");
  assert.match(
    text("hostcheck.result"),
    /^\[metadata\]\ncreated = [\s\S]*^\[directories\]\ndir_list = /m,
  );
  assert.match(
    text("hostcheck_custom_actions.result"),
    /^\[packages\]\npkg_list = [\s\S]*^\[repositories\]\nrepo_list = /m,
  );
});

test("no check, unknown ones, and parameters that are none", (t) => {
  for (const params of [{}, null, { check_execute_list: "" }, { check_execute_list: " , " }]) {
    const { status, stderr } = check(t, params);
    assert.equal(status, 1);
    assert.match(stderr, /check_execute_list names no check; there are java_home_check,/);
  }
  const { status, results } = check(t, { check_execute_list: "nothing, transparentHugePage" });
  assert.equal(status, 0);
  assert.match(results.nothing?.message ?? "", /there is no such check/);
  assert.equal(results.transparentHugePage?.exit_code, 0);
  const numbers = check(t, { check_execute_list: "host_resolution_check", hosts: 7 });
  assert.equal(numbers.results.host_resolution_check?.exit_code, 1);
});
