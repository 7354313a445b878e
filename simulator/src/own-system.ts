import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startInstallation } from "@howdah/launcher/start-installation";

/** A whole Howdah for the simulated hosts alone. */
export interface OwnSystem {
  /** Where its dispatcher listens for agents. */
  readonly agentsAddress: string;
  /** Lines for people. */
  howToTalk(prefix: string): readonly string[];
  /** Rejects when one of its processes ends by itself. */
  readonly failed: Promise<never>;
  /** Ends it and removes what it kept, unless it is needed to see why a process ended. */
  stop(): Promise<void>;
}

/**
 * Starts the database and the services, on the usual ports so that the howdah command finds them, with everything in a folder that goes
 * when it ends. Rejects when `stopped` comes meanwhile.
 */
export async function startOwnSystem(
  note: (line: string) => void,
  stopped: Promise<void>,
): Promise<OwnSystem> {
  const dir = await mkdtemp(join(tmpdir(), "howdah-fleet-"));
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => undefined); // whoever does not wait for it need not hear
  let broken = false;
  let interrupted = false;
  void stopped.then(() => {
    interrupted = true;
  });
  note("no --server was given: starting MariaDB and the services");
  try {
    const installation = await startInstallation({
      ...{ dir, ports: "default", log: note },
      onExit: ({ name, logFile }, { code }) => {
        broken = true;
        fail(new Error(`${name} ended with code ${code}; its log: ${logFile}`));
      },
    });
    const stop = async () => {
      await installation.stop();
      if (!broken) await rm(dir, { recursive: true, force: true });
    };
    if (interrupted) {
      await stop();
      throw new Error("stopped before it began");
    }
    return {
      ...{ failed, stop },
      agentsAddress: installation.dispatcher.addresses.agents ?? "",
      howToTalk: (prefix) => [
        "in another terminal, in this folder:",
        "  npx howdah hosts",
        `  npx howdah run --hosts '${prefix}-*' -- true`,
        "  npx howdah requests",
      ],
    };
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
}
