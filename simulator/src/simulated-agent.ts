import { Reporter } from "@howdah/agent/connection/reporter";
import { type Servers, stayConnected } from "@howdah/agent/connection/stay-connected";
import type { JournalEntry } from "@howdah/agent/journal/entry";
import { memoryJournal } from "@howdah/agent/journal/memory-journal";
import { laneOf } from "@howdah/agent/run/lane-of";
import { openRunQueue } from "@howdah/agent/run/queue";
import { agentVersion } from "@howdah/agent/version";
import type { Logger } from "pino";
import { type PretendOptions, pretendRun } from "./pretend-run.js";
import { PretendedAlerts } from "./pretended-alerts.js";
import { PretendedStatus } from "./pretended-status.js";
import type { Tally } from "./tally.js";
import type { Turn } from "./turns.js";

/** A host that is played. */
export interface SimulatedAgentOptions extends PretendOptions {
  readonly hostName: string;
  readonly agentId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly servers: Servers;
  readonly tally: Tally;
  /** Held while it connects and registers. */
  readonly connecting: Turn;
  readonly log: Logger;
}

/** Acknowledged results are kept for so long, instead of an agent's seven days: many hosts share this memory. */
const keepMs = 600_000;

/**
 * Plays an agent until stopped, then says goodbye: the agent's own protocol, queue and rules of the journal, with a journal in memory
 * and commands that only let time pass. Never rejects.
 */
export async function simulateAgent(
  options: SimulatedAgentOptions,
  stop: AbortSignal,
): Promise<void> {
  const { hostName, agentId, labels, servers, tally, connecting, log } = options;
  const journal = memoryJournal(agentId, { keepMs });
  const status = new PretendedStatus();
  const reporter = new Reporter(journal, log, (entry) => status.recorded(entry));
  const broken = (error: unknown) => log.error({ err: error, host: hostName }, "cannot go on");
  const queue = openRunQueue({
    ...{ journal, log, laneOf, onBroken: broken },
    run: (entry, cancel, detach) => pretendRun(entry, cancel, detach, options),
    onStarted(entry: JournalEntry) {
      tally.running += 1;
      status.began(entry);
      reporter.started(entry);
    },
    onEnded(entry: JournalEntry) {
      if (entry.start !== null) tally.running -= 1;
      if (entry.result !== null) tally.ended[entry.result.status] += 1;
      reporter.ended(entry);
      status.ended(entry);
    },
  });
  let connected = false;
  let sessions = 0;
  let endTurn = () => {};
  await stayConnected(
    {
      ...servers,
      ...{ hostName, agentVersion, labels, journal, queue, reporter, status, log },
      output: options.output,
      alerts: new PretendedAlerts(),
      factsJson: () => '{"simulated":true}',
      lastStore: { storeId: "" },
      async turn() {
        // A try that could not even begin was told to nobody.
        endTurn();
        endTurn = await connecting();
      },
      onLive(session) {
        endTurn();
        if ((session !== undefined) === connected) return;
        connected = session !== undefined;
        tally.connected += connected ? 1 : -1;
        if (connected && sessions++ > 0) tally.reconnects += 1;
      },
      onJournalError: broken,
    },
    stop,
  );
  endTurn();
  status.close();
  await queue.close();
}
