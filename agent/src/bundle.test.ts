import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { agentPrefix } from "./testing/started-agent.js";
import { textOf, until } from "./testing/test-agent.js";
import { STDOUT, serveDispatcher, shellTask } from "./testing/test-dispatcher.js";

const bundle = fileURLToPath(new URL("../bundle.js", import.meta.url));

test("the bundle runs where there is Node.js and nothing else", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const { prefix, iniFile } = agentPrefix(
    t,
    `[server]\naddress = ${dispatcher.address}\n[agent]\nprefix = PREFIX\n[environment]\nGREETING = hello\n`,
  );
  // Nothing of the clone in any folder above, and nothing in the environment that points to it.
  const place = mkdtempSync("/tmp/howdah-bundle-");
  t.after(() => rmSync(place, { recursive: true }));
  for (let above = place; above !== "/"; above = dirname(above)) {
    assert.ok(!existsSync(join(above, "node_modules")), above);
  }
  execFileSync(process.execPath, [bundle, place], { stdio: "pipe" });
  assert.deepEqual(readdirSync(place).sort(), [
    ...["LICENSES.txt", "alert-script.py", "ambari-sudo.sh", "howdah-agent", "howdah-agent.ini"],
    ...["howdah-agent.mjs", "howdah-env.sh", "supervisor.sh"],
  ]);
  mkdirSync(join(prefix, "home"));
  const env = { PATH: "/usr/bin:/bin", HOME: join(prefix, "home"), NODE: process.execPath };
  const agent = spawn(join(place, "howdah-agent"), ["run", "--config", iniFile], {
    ...{ env, cwd: prefix, stdio: ["ignore", "ignore", "pipe"] },
  });
  let errors = "";
  agent.stderr.on("data", (text) => {
    errors += text;
  });
  t.after(() => agent.kill("SIGKILL"));
  const session = await dispatcher.session();
  assert.equal(readFileSync(join(prefix, "run", "howdah-agent.pid"), "utf8"), `${agent.pid}\n`);
  session.say(
    shellTask(1, 'echo "$GREETING" "$HOME_DIR$CONFIG_FILE"; ambari-sudo.sh A=b sh -c "echo \\$A"'),
  );
  assert.equal((await dispatcher.ended(1)).event, TaskEvent.SUCCEEDED);
  const output = `hello ${iniFile}\nb\n`;
  await until(() => dispatcher.stored(1, STDOUT).toString() === output, "its output");
  // No thread but Node's own: what pino's transports would start is not even there.
  const threads = readdirSync(`/proc/${agent.pid}/task`).map((task) =>
    textOf(`/proc/${agent.pid}/task/${task}/comm`).trim(),
  );
  assert.ok(threads.length <= 11, String(threads)); // main, four of V8, four of libuv, inspector's, signals'
  agent.kill("SIGTERM");
  const [code] = await once(agent, "exit");
  assert.deepEqual([code, errors], [0, ""]);
  const version = execFileSync(join(place, "howdah-agent"), ["version"], { env });
  assert.match(version.toString(), /^[0-9]+[.][0-9]+[.][0-9]+\n$/);
});

test("the licences of all that is in it lie beside it", (t) => {
  const { prefix } = agentPrefix(t, "");
  execFileSync(process.execPath, [bundle, join(prefix, "out")], { stdio: "pipe" });
  const licences = readFileSync(join(prefix, "out", "LICENSES.txt"), "utf8");
  for (const name of ["@grpc/grpc-js", "@bufbuild/protobuf", "pino", "tar"]) {
    assert.match(licences, new RegExp(`^${name} [0-9.]+ \\(`, "m"));
  }
});
