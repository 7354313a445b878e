import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../until.js";

/** A script that notes when its first instruction runs, and where it notes it. */
export interface TimeNote {
  /** Runs it, given the file of a note. */
  argv(name: string): [string, string];
  /** When the script ran that was given this name, in ms of the wall clock. Rejects when it has not within a minute. */
  read(name: string, signal: AbortSignal): Promise<number>;
}

/** In seconds of the wall clock. bash: the clock is built in, and needs no further process. */
const script = '#!/bin/bash\necho $EPOCHREALTIME > "$1"\n';

/** The wall clock, in ms with decimals. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Writes the script to a folder, which is made. */
export function createTimeNote(dir: string): TimeNote {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, "note-time.sh");
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  return {
    argv: (name) => [path, join(dir, name)],
    async read(name, signal) {
      const look = () => {
        const text = textOf(join(dir, name));
        return text.endsWith("\n") && text;
      };
      const text = await until(look, `${name} to run`, { signal, mostMs: 60_000, everyMs: 4 });
      return Number(text) * 1_000;
    },
  };
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // not yet
  }
}
