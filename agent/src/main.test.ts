import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { agentPrefix, runAgent, startAgent, startAgentWith } from "./testing/started-agent.js";
import { textOf, until } from "./testing/test-agent.js";

const main = fileURLToPath(new URL("./main.js", import.meta.url));

const ini = "[server]\naddress = 127.0.0.1:1\n[agent]\nprefix = PREFIX\n";

/** What an operator can mend ends the agent with 2 and one line. */
async function refused(...args: string[]): Promise<string> {
  const { code, stderr, stdout } = await runAgent(...args);
  assert.equal(code, 2, stderr);
  assert.match(stderr, /^howdah-agent: [^\n]+\n$/);
  assert.equal(stdout, "");
  return stderr;
}

test("an option that is not known, a file that is not there", async () => {
  assert.match(
    await refused("--confg", "x"),
    /'--confg'; the options are --config FILE, --log-file/,
  );
  assert.match(await refused("--config", "/nowhere"), /\/nowhere cannot be read/);
});

test("a bad value, a bad TLS file", async (t) => {
  const { iniFile } = agentPrefix(t, ini.replace("PREFIX", "relative"));
  assert.match(await refused("--config", iniFile), /\[agent\] prefix must be an absolute path/);
  const other = agentPrefix(t, ini.replace("[agent]", "ca_file = PREFIX/none.pem\n[agent]"));
  assert.match(await refused("--config", other.iniFile), /cannot read certificate file .*none.pem/);
});

test("a data folder that cannot be written", async (t) => {
  const { prefix, iniFile } = agentPrefix(t, ini);
  // Not by its mode: root may write everywhere.
  writeFileSync(join(prefix, "data"), "a file");
  assert.match(
    await refused("--config", iniFile),
    /the (data|journal) folder .*\/data\S* can't be made/,
  );
});

test("a second agent under the same prefix", async (t) => {
  const agent = startAgent(t, "127.0.0.1:1");
  await until(() => agent.log.some(({ msg }) => msg === "started"), "the start");
  const text = await refused("--config", agent.folders.iniFile);
  assert.match(text, /another agent \(pid \d+\) runs with the prefix/);
  assert.equal(await agent.end("SIGTERM"), 0);
});

test("no server: it goes on trying, ever less often, and ends when told to", async (t) => {
  const agent = startAgent(t, "127.0.0.1:1");
  const refusals = () => agent.log.filter(({ msg }) => String(msg).startsWith("not connected"));
  await until(() => refusals().length >= 5, "five tries");
  const times = refusals().map(({ time }) => Number(time));
  const gaps = times.slice(1).map((time, at) => time - (times[at] ?? 0));
  assert.ok((gaps[3] ?? 0) > (gaps[0] ?? 0), String(gaps));
  assert.equal(await agent.end("SIGTERM"), 0);
});

test("old files of tasks are cleaned at the start", async (t) => {
  const { prefix, iniFile } = agentPrefix(t, `${ini}data_dir = PREFIX/elsewhere\n`);
  const data = join(prefix, "elsewhere");
  mkdirSync(join(data, "journal"), { recursive: true });
  const [old, young] = [join(data, "output-1.txt"), join(data, "output-2.txt")];
  for (const path of [old, young]) writeFileSync(path, "x");
  utimesSync(old, Date.now() / 1_000 - 31 * 86_400, Date.now() / 1_000 - 31 * 86_400);
  const agent = startAgentWith(t, iniFile);
  await until(() => agent.log.some(({ msg }) => /^old files/.test(String(msg))), "the cleaning");
  assert.deepEqual([existsSync(old), existsSync(young)], [false, true]);
  assert.equal(await agent.end("SIGTERM"), 0);
});

test("agents of one machine: each under its own prefix; not two with one data folder", async (t) => {
  const first = startAgent(t, "127.0.0.1:1");
  const second = startAgent(t, "127.0.0.1:1");
  for (const agent of [first, second]) {
    await until(() => agent.log.some(({ msg }) => msg === "started"), "the start");
  }
  const { iniFile } = agentPrefix(t, `${ini}data_dir = ${first.folders.data}\n`);
  const text = await refused("--config", iniFile);
  assert.match(text, /another agent \(pid \d+\) has the data folder/);
  assert.deepEqual([await first.end("SIGTERM"), await second.end("SIGTERM")], [0, 0]);
});

test("the log in a file of its own, which goes on anew at SIGHUP when it was moved away", async (t) => {
  const { prefix, iniFile } = agentPrefix(t, ini);
  const path = join(prefix, "log", "howdah-agent.log");
  const child = spawn(process.execPath, [main, "--config", iniFile, "--log-file"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  await until(() => textOf(path).includes('"started"'), "the start");
  renameSync(path, `${path}.moved`);
  child.kill("SIGHUP");
  await until(() => textOf(path).includes("not connected"), "the next line");
  child.kill("SIGTERM");
  const [code] = await once(child, "exit");
  assert.equal(code, 0);
  assert.equal(child.stdout?.read(), null);
  assert.match(textOf(path), /"msg":"stopped"/);
});
