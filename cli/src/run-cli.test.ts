import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Code, ConnectError } from "@connectrpc/connect";
import { cli, fakeServer } from "./cli-fixture.js";

describe("the command line", () => {
  it("says in one line that there is no server, with exit code 3", async () => {
    const { exitCode, out, err } = await cli(["hosts"], { server: "http://127.0.0.1:1/" });
    assert.equal(exitCode, 3);
    assert.equal(out, "");
    assert.equal(
      err,
      "howdah: cannot reach http://127.0.0.1:1 (ECONNREFUSED); `howdah up` starts Howdah on this machine, --server or HOWDAH_SERVER says where else it is\n",
    );
  });

  it("passes on what the server says in one line, with an exit code for its kind", async (t) => {
    const cases: [Code, number, string][] = [
      [Code.NotFound, 4, "howdah: there is no host db-9\n"],
      [Code.InvalidArgument, 4, "howdah: there is no host db-9\n"],
      [Code.Unimplemented, 4, "howdah: there is no host db-9\n"],
      [Code.Unavailable, 3, "howdah: there is no host db-9; try again\n"],
      [Code.Internal, 5, "howdah: there is no host db-9\n"],
    ];
    for (const [code, exitCode, err] of cases) {
      const server = await fakeServer(t, {
        fleet: {
          listHosts() {
            throw new ConnectError("there is no host db-9", code);
          },
        },
      });
      assert.deepEqual(await cli(["hosts", "db-9"], { server }), { exitCode, out: "", err });
    }
  });

  it("answers wrong usage with what would be right, with exit code 2", async () => {
    const cases: [string[], RegExp][] = [
      [["hostz"], /unknown command 'hostz'\n\(Did you mean one of host, hosts\?\)/],
      [["hosts", "--al"], /unknown option '--al'/],
      [["request", "x"], /'x' is invalid .* It is a number from 1\./],
      [["start", "--on-failure", "pray"], /Allowed choices are abort, hold, skip, continue/],
      [["start", "--timeout", "30"], /Write it as 30s, 5m or 2h/],
      [["tasks", "7", "--status", "BROKEN"], /It is one of PENDING, QUEUED/],
      [
        ["run", "--", "ls"],
        /^howdah: say on which hosts: --hosts 'web-\*', or --hosts '\*' for all\n$/,
      ],
      [["hosts", "--server", "db-1"], /^howdah: --server: "db-1" is no URL/],
      [["hosts", "--output", "xml"], /Allowed choices are text, json/],
    ];
    for (const [args, message] of cases) {
      const { exitCode, err, out } = await cli(args);
      assert.equal(exitCode, 2, args.join(" "));
      assert.match(err, message);
      assert.equal(out, "");
    }
  });

  it("explains itself", async () => {
    const { exitCode, out } = await cli(["--help"]);
    assert.equal(exitCode, 0);
    assert.match(out, /run \[options\] <command\.\.\.>.*Exit codes: 0 done/s);
  });

  it("takes --server and --output before and after the verb", async (t) => {
    const server = await fakeServer(t, { fleet: { listClusters: () => ({}) } });
    const commands = [
      ["--server", server, "--output", "json", "cluster", "list"],
      ["cluster", "list", "--server", server, "--output", "json"],
    ];
    for (const args of commands) {
      assert.deepEqual(JSON.parse((await cli(args)).out), { clusters: [] });
    }
  });

  it("ends as a process with its exit code, and on Ctrl-C with 130", async (t) => {
    const server = await fakeServer(t, {
      store: {
        async *readTaskOutput(_, { signal }) {
          yield { data: new TextEncoder().encode("begun\n") };
          await once(signal, "abort");
        },
      },
    });
    const program = fileURLToPath(new URL("../bin/howdah.js", import.meta.url));
    const start = (...args: string[]) => {
      const env = { PATH: process.env.PATH, HOWDAH_SERVER: server };
      const child = spawn(process.execPath, [program, ...args], { env });
      t.after(() => child.kill("SIGKILL"));
      return child;
    };
    const [code] = await once(start("hosts"), "close");
    assert.equal(code, 4);
    const logs = start("logs", "7", "-f");
    let err = "";
    logs.stderr.on("data", (chunk) => {
      err += chunk;
    });
    await once(logs.stdout, "data");
    logs.kill("SIGINT");
    const [interrupted] = await once(logs, "close");
    assert.equal(interrupted, 130);
    assert.equal(err, "howdah: interrupted; the task goes on\n");
  });
});
