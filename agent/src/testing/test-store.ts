import { randomBytes } from "node:crypto";

/**
 * The id of this test process's store. Of its own, since stopping a command looks through all processes of the machine for the command's
 * tag: tests that run at the same time must not share one.
 */
export const testStore = `store-${randomBytes(6).toString("hex")}`;
