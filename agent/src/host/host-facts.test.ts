import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import { silent, temporaryFolders } from "../testing/test-agent.js";
import { NoAnswerError } from "./bounded-run.js";
import { system } from "./hardware-profile.js";
import { gatherHostFacts, type HostFactsOptions } from "./host-facts.js";

function factsOf(t: TestContext, more: Partial<HostFactsOptions> = {}) {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const facts = gatherHostFacts({
    ...{ hostName: "web1.example.com", publicHostName: "www.example.com" },
    ...{ prefix: folders.prefix, dataFolder: folders.data, overrides: undefined, log: silent },
    ...more,
  });
  return { facts, folders, read: () => JSON.parse(facts.json()) as Record<string, unknown> };
}

/** Ambari's hardwareProfile. */
const names = [
  ...["id", "kernel", "domain", "fqdn", "hostname", "macaddress", "architecture"],
  ...["operatingsystem", "operatingsystemrelease", "osfamily", "physicalprocessorcount"],
  ...["processorcount", "timezone", "hardwareisa", "hardwaremodel", "kernelrelease"],
  ...["kernelversion", "kernelmajversion", "ipaddress", "netmask", "interfaces"],
  ...["uptime_seconds", "uptime_hours", "uptime_days", "memorysize", "memoryfree"],
  ...["memorytotal", "selinux", "swapsize", "swapfree", "mounts"],
];

test("a host is told by all of Ambari's names", async (t) => {
  const { facts, read, folders } = factsOf(t);
  await facts.gathered;
  const told = read();
  for (const name of names) assert.ok(told[name] !== undefined, name);
  assert.equal(told.hostname, hostname());
  assert.equal(told.fqdn, "web1.example.com");
  assert.equal(told.domain, "example.com");
  assert.equal(told.publicHostname, "www.example.com");
  assert.equal(told.prefix, folders.prefix);
  assert.match(String(told.swapsize), /^\d+\.\d\d GB$/);
  assert.ok(Number(told.memorytotal) > 0);
  const environment = told.agentEnv as Record<string, unknown>;
  for (const name of ["hostHealth", "umask", "transparentHugePage", "firewallRunning"]) {
    assert.ok(environment[name] !== undefined, name);
  }
  for (const name of ["alternatives", "existingUsers", "stackFoldersAndFiles"]) {
    assert.ok(Array.isArray(environment[name]), name);
  }
  assert.match(String(environment.umask), /^\d+$/);
});

test("what hangs holds up nothing, and is said", async (t) => {
  const warnings: string[] = [];
  let answer = (_: string) => {};
  const hung = new Promise<string>((_, reject) => {
    answer = (why) => reject(new NoAnswerError(why));
  });
  const { facts, read } = factsOf(t, {
    runner: { run: () => hung },
    log: pino({ level: "warn" }, { write: (line: string) => warnings.push(line) }),
  });
  assert.deepEqual(read().mounts, []);
  assert.equal(read().fqdn, "web1.example.com");
  answer("stat did not answer within 10000 ms");
  await facts.gathered;
  assert.deepEqual(read().mounts, []);
  assert.match(warnings.join(""), /stat did not answer/);
  assert.equal(facts.reverseLookup, null);
});

test("what an operator states wins, and what cannot be read is passed over by name", async (t) => {
  const warnings: string[] = [];
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const write = (name: string, text: string) => writeFileSync(join(folders.tmp, name), text);
  write("1-os.json", '{"osfamily": "redhat", "rack": "r1"}');
  write("2-rack.json", '{"rack": "r2"}');
  write("3-list.json", "[]");
  write("4-half.json", '{"half": ');
  write("5-long.json", `{"long": "${"x".repeat(20_000)}"}`);
  write("not-json.txt", '{"text": 1}');
  const { facts, read } = factsOf(t, {
    overrides: folders.tmp,
    log: pino({ level: "warn" }, { write: (line: string) => warnings.push(line) }),
  });
  await facts.gathered;
  const { osfamily, rack, long, text } = read();
  assert.equal(facts.system.osfamily, "redhat");
  assert.deepEqual([osfamily, rack, long, text], ["redhat", "r2", undefined, undefined]);
  for (const name of ["3-list.json", "4-half.json", "5-long.json"]) {
    assert.match(warnings.join(""), new RegExp(name));
  }
});

test("facts never take more than 64 KiB: what is largest is left out, and named", async (t) => {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  for (let n = 0; n < 6; n += 1) {
    const large = { [`large${n}`]: "é".repeat(7_000) };
    writeFileSync(join(folders.tmp, `${n}.json`), JSON.stringify(large));
  }
  const { facts, read } = factsOf(t, { overrides: folders.tmp });
  await facts.gathered;
  assert.ok(Buffer.byteLength(facts.json()) <= 64 * 1024);
  const told = read();
  assert.equal(told.fqdn, "web1.example.com");
  assert.equal((told.leftOut as string[]).length, 2);
});

test("families of systems", () => {
  const family = (text: string) => {
    const { osfamily, operatingsystem, operatingsystemrelease } = system(text);
    return [operatingsystem, operatingsystemrelease, osfamily];
  };
  assert.deepEqual(family('ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n'), [
    ...["rocky", "9.4", "redhat"],
  ]);
  assert.deepEqual(family('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n'), [
    ...["ubuntu", "22.04", "ubuntu"],
  ]);
  assert.deepEqual(family("ID=debian\nVERSION_ID=12\n"), ["debian", "12", "debian"]);
  assert.deepEqual(family("ID=alpine\nVERSION_ID=3.20.1\n"), ["alpine", "3.20.1", "alpine"]);
  assert.equal(family("").length, 3);
});
