import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gb, mount, well } from "../testing/host-readings.js";
import { type HostReading, hostProblems } from "./host-problems.js";
import { readMemory, writableByFstab } from "./read-host.js";

const memory = well().memory;
/** What is wrong, and how it is said. */
const cases: [string, Partial<HostReading>, string][] = [
  ["90 %", { mounts: [mount(90)] }, "/ is 90 % full, 10.0 GB left"],
  ["95 %", { mounts: [mount(96)] }, "/ is 96 % full, 4.0 GB left"],
  ["inodes", { mounts: [mount(5, { inodesPercent: 97 })] }, "/ has 97 % of its inodes in use"],
  ["read-only", { becameReadOnly: ["/d"] }, "/d has become read-only"],
  [
    "no room",
    { data: mount(99, { availableKb: 100 * 1_024 }) },
    "the agent's data folder /data has 100 MB left",
  ],
  [
    "a disk that hangs",
    { mounts: [], mountsUnknown: "stat did not answer within 10000 ms" },
    "its file systems cannot be measured: stat did not answer within 10000 ms",
  ],
  ["ahead", { clockSkewMs: 12_000 }, "its clock is 12 s ahead of the server's"],
  ["behind", { clockSkewMs: -90 * 86_400_000 }, "its clock is 90 days behind the server's"],
  [
    "time service",
    { timeService: undefined, lostTimeService: "chronyd" },
    "chronyd, which kept its clock right, does not run any more",
  ],
  [
    "no time service",
    { timeService: undefined, clockSkewMs: 12_000 },
    "its clock is 12 s ahead of the server's, and no time service runs on it, such as chronyd, ntpd or systemd-timesyncd",
  ],
  [
    "memory",
    { memory: { ...memory, availableKb: gb / 2 } },
    "512 MB of its 16.0 GB memory are available",
  ],
  [
    "pressure",
    { memory: { ...memory, stalledPercent: 12.3 } },
    "its processes wait for memory 12 % of the time",
  ],
  [
    "swap",
    { memory: { ...memory, swapTotalKb: 100, swapFreeKb: 10 } },
    "90 % of its swap is in use",
  ],
];

describe("hostProblems()", () => {
  test("a host that is well has none", () => {
    assert.deepEqual(hostProblems(well(), new Set()), []);
  });

  for (const [name, more, text] of cases) {
    test(name, () => {
      assert.deepEqual(
        hostProblems(well(more), new Set()).map((one) => one.text),
        [text],
      );
    });
  }

  test("what is no problem", () => {
    const none: Partial<HostReading>[] = [
      { mounts: [mount(89)] },
      // Full and read-only as installation images and snapshots are.
      { mounts: [mount(100, { readOnly: true })] },
      { mounts: [mount(10, { inodesPercent: undefined })] },
      { clockSkewMs: undefined },
      { clockSkewMs: -4_900 },
      // A slow answer leaves room for doubt.
      { clockSkewMs: 12_000, clockDoubtMs: 8_000 },
      { timeService: null },
      // The machine below may see to the clock.
      { timeService: undefined },
      { data: undefined },
    ];
    for (const more of none) assert.deepEqual(hostProblems(well(more), new Set()), []);
  });

  test("one that was told stays until it is well below its limit", () => {
    const keysOf = (more: Partial<HostReading>, former: readonly string[]) =>
      hostProblems(well(more), new Set(former)).map(({ key }) => key);
    assert.deepEqual(keysOf({ mounts: [mount(94)] }, ["full / 95"]), ["full / 95"]);
    assert.deepEqual(keysOf({ mounts: [mount(92)] }, ["full / 95"]), ["full / 90"]);
    assert.deepEqual(keysOf({ mounts: [mount(88)] }, ["full / 90"]), ["full / 90"]);
    assert.deepEqual(keysOf({ mounts: [mount(87)] }, ["full / 90"]), []);
    assert.deepEqual(keysOf({ clockSkewMs: 4_500 }, ["clock ahead of"]), ["clock ahead of"]);
    assert.deepEqual(keysOf({ clockSkewMs: 3_900 }, ["clock ahead of"]), []);
    const half = { memory: { ...memory, stalledPercent: 6 } };
    assert.deepEqual(keysOf(half, ["stalled 10"]), ["stalled 10"]);
  });
});

test("what /etc/fstab wants to be written to", () => {
  const found = writableByFstab(`# a comment
/dev/sda1 / ext4 errors=remount-ro 0 1
UUID=1 /data xfs defaults,noatime 0 2
/dev/sdb1 /usr ext4 ro,noatime 0 2
/dev/sdc1 /backup ext4 noauto 0 2

rubbish
`);
  assert.deepEqual([...found], ["/", "/data"]);
});

test("memory, also of kernels that do not tell all", () => {
  assert.deepEqual(
    readMemory(
      "MemTotal:  1000 kB\nMemAvailable:  400 kB\nSwapTotal: 10 kB\nSwapFree: 5 kB\n",
      "some avg10=1.00 avg60=2.00 avg300=3.00 total=4\nfull avg10=5.00 avg60=6.50 avg300=7.00 total=8\n",
    ),
    { totalKb: 1_000, availableKb: 400, swapTotalKb: 10, swapFreeKb: 5, stalledPercent: 6.5 },
  );
  assert.deepEqual(readMemory("", ""), {
    ...{ totalKb: 0, availableKb: 0, swapTotalKb: 0, swapFreeKb: 0, stalledPercent: 0 },
  });
});
