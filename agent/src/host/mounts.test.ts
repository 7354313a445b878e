import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createBoundedRunner, NoAnswerError } from "./bounded-run.js";
import { ambariMount, localMounts, measureMounts, usageOf } from "./mounts.js";

const mountinfo = `22 27 0:21 / /proc rw,relatime - proc proc rw
25 24 0:23 / /dev/shm rw,relatime - tmpfs tmpfs rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 27 254:1 / /data rw,relatime shared:1 - xfs /dev/vdb ro,seclabel
31 27 254:2 / /my\\040disk ro,relatime - ext4 /dev/disk/by\\040id rw
32 27 0:50 / /home rw,relatime - nfs4 server:/home rw,hard
33 27 0:51 / /ssh rw - fuse.sshfs me@host:/ rw
34 27 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro
35 27 254:0 /var/lib/docker/hosts /etc/hosts rw - ext4 /dev/vda rw
36 27 254:0 /srv /deep/bind/srv rw - ext4 /dev/vda rw
37 27 0:60 / /pool rw - zfs tank/pool rw
38 27 0:61 / /tmp rw - tmpfs tmpfs rw
39 27 0:70 / /share rw - cifs //server/share rw
40 27 0:71 / /gpfs rw - gpfs /dev/gpfs0 rw
41 27 0:72 / /var/lib/docker/overlay2/a/merged rw - overlay overlay rw
42 27 0:73 /@home /vol/home rw - btrfs /dev/vdc rw
43 27 0:74 /@ /vol rw - btrfs /dev/vdc rw
`;

describe("localMounts()", () => {
  test("lists disks of the host once each, and nothing that could hang", () => {
    assert.deepEqual(
      localMounts(mountinfo).map(({ mountpoint, type, readOnly }) => [mountpoint, type, readOnly]),
      [
        ["/", "ext4", false],
        ["/data", "xfs", true],
        ["/my disk", "ext4", true],
        ["/pool", "zfs", false],
        ["/vol", "btrfs", false],
      ],
    );
    assert.equal(localMounts(mountinfo)[2]?.device, "/dev/disk/by id");
  });

  test("a container's root, and the disk of which it sees only folders", () => {
    const found = localMounts(`1 0 0:40 / / rw - overlay overlay rw
2 1 8:1 /docker/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw
3 1 8:1 /volumes/long/_data /volume rw - ext4 /dev/sda1 rw
4 1 8:1 /v /short rw - ext4 /dev/sda1 rw
5 1 8:2 /hosts /etc/hosts rw - ext4 /dev/sdb2 rw
`);
    assert.deepEqual(
      found.map(({ mountpoint }) => mountpoint),
      ["/", "/short"],
    );
  });

  test("lines that are none", () => {
    assert.deepEqual(localMounts("\nrubbish\n - \n1 2 3 - ext4\n"), []);
  });
});

describe("usageOf()", () => {
  const answering = (text: string) => ({ run: async () => text });

  test("says of a file system what df says", async () => {
    const usage = (await usageOf(createBoundedRunner(), ["/"])).get("/");
    const [, , , , percent] =
      execFileSync("df", ["-kP", "/"], { encoding: "utf8" }).split("\n")[1]?.split(/\s+/) ?? [];
    // Others write to the disk at the same time.
    assert.ok(Math.abs((usage?.percent ?? 0) - Number.parseInt(percent ?? "", 10)) <= 1);
  });

  test("counts blocks kept for root as df does, and inodes where there are any", async () => {
    const text = "4096 1000 400 300 100 2 /data\n4096 10 0 0 0 0 /no inodes\n";
    const found = await usageOf(answering(text), ["/data"]);
    assert.deepEqual(found.get("/data"), {
      ...{ sizeKb: 4_000, usedKb: 2_400, availableKb: 1_200, percent: 67, inodesPercent: 98 },
    });
    assert.equal(found.get("/no inodes")?.percent, 100);
    assert.equal(found.get("/no inodes")?.inodesPercent, undefined);
  });

  test("what is no answer is left out", async () => {
    assert.equal((await usageOf(answering("stat: rubbish\n\n1 2\n"), ["/"])).size, 0);
    assert.equal((await usageOf(createBoundedRunner(), ["/not/there"])).size, 0);
  });
});

test("a mount by Ambari's names", async () => {
  const { mounts, folder } = await measureMounts(createBoundedRunner(), "/");
  assert.ok(folder !== undefined);
  for (const mount of mounts.map(ambariMount)) {
    assert.match(mount.percent ?? "", /^\d+%$/);
    assert.ok(Number(mount.size) > 0);
  }
});

describe("createBoundedRunner()", () => {
  test("a program that hangs is given up, and none is put beside it while it hangs", async () => {
    const runner = createBoundedRunner();
    await assert.rejects(runner.run("sleep", ["60"], 50), NoAnswerError);
    await assert.rejects(runner.run("sleep", ["0"], 20_000), /sleep has not answered since/);
    // It is killed, and can be asked again once it is gone.
    for (let done = false; !done; ) {
      await sleep(5);
      done = await runner.run("sleep", ["0"], 20_000).then(
        () => true,
        (error) => {
          assert.match(error.message, /has not answered since/);
          return false;
        },
      );
    }
  });

  test("a program that is not there", async () => {
    await assert.rejects(
      createBoundedRunner().run("no-such-program", [], 20_000),
      /no-such-program cannot be run \(ENOENT\)/,
    );
  });

  test("output of one that failed", async () => {
    const runner = createBoundedRunner();
    assert.equal(await runner.run("sh", ["-c", "echo half; exit 3"], 20_000), "half\n");
  });
});
