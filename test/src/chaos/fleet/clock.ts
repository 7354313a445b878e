import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Moves the wall clock of one agent and of what it starts; their monotonic clock stays as it is. */
export interface ClockMover {
  /** What the agent must be started with. */
  readonly environment: Readonly<Record<string, string>>;
  /** Sets it so many seconds ahead of the machine's; negative: behind; 0: right. */
  move(seconds: number): void;
}

const libraries = ["x86_64", "aarch64"].map(
  (machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`,
);

/** How to move clocks here; undefined, and a word in `skipped`, without libfaketime. */
export function findClockMover(
  skipped: string[],
): ((dir: string, host: string) => ClockMover) | undefined {
  const library = libraries.find((path) => existsSync(path));
  if (library === undefined) {
    skipped.push("hosts' clocks are not moved: libfaketime is not installed (Debian: libfaketime)");
    return undefined;
  }
  return (dir, host) => {
    mkdirSync(join(dir, "clock"), { recursive: true });
    const file = join(dir, "clock", host);
    const move = (seconds: number) => {
      writeFileSync(`${file}.new`, `${seconds < 0 ? "" : "+"}${seconds}\n`);
      renameSync(`${file}.new`, file);
    };
    move(0);
    return {
      move,
      environment: {
        LD_PRELOAD: library,
        FAKETIME_TIMESTAMP_FILE: file,
        FAKETIME_CACHE_DURATION: "1",
        DONT_FAKE_MONOTONIC: "1",
        FAKETIME_DONT_FAKE_MONOTONIC: "1",
        FAKETIME_DISABLE_SHM: "1",
      },
    };
  };
}
