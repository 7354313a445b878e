import { setTimeout as sleep } from "node:timers/promises";
import type { Part } from "./part.js";

const tries = 5;

/** Starts a part. That may fail while what the part needs is away itself; whoever watches over services tries again. */
export async function startAgain(part: Part): Promise<void> {
  for (let n = 1; part.pid === undefined; n += 1) {
    try {
      await part.start();
    } catch (error) {
      if (n === tries) throw error;
      await sleep(1_000);
    }
  }
}
