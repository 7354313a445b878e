import { create } from "@bufbuild/protobuf";
import { JournalEntrySchema, JournalState } from "@howdah/proto/howdah/v1/agent_registration";
import { type ConnectRequest, ConnectRequestSchema } from "@howdah/proto/howdah/v1/agent_service";
import type { Journal } from "../journal/journal.js";
import { bootId } from "../process-table.js";
import { keyText } from "../task-key.js";

/** Who registers, and with what. */
export interface RegistrationOptions {
  /** In lower case. */
  readonly hostName: string;
  readonly agentVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly journal: Journal;
  /** What to say of the host: a JSON object of at most 64 KiB. */
  readonly factsJson: () => string;
}

const entriesPerMessage = 1_000;
const states = {
  RECEIVED: JournalState.RECEIVED,
  RUNNING: JournalState.RUNNING,
  ENDED: JournalState.ENDED,
} as const;

/** What is said to register. */
export interface Registration {
  /** Register, and more of it when there is more than one message holds. */
  readonly messages: ConnectRequest[];
  /** The attempts that are listed as ended: what the server says of the others is about what they were then. */
  readonly endedThen: ReadonlySet<string>;
}

/** Registers with what the journal has of a store that is unfinished or unacknowledged. */
export function registration(options: RegistrationOptions, storeId: string): Registration {
  const { journal } = options;
  const open = journal
    .entries()
    .filter(({ key, acknowledgedAtMs }) => key.storeId === storeId && acknowledgedAtMs === null);
  const endedThen = new Set(
    open.filter(({ state }) => state === "ENDED").map(({ key }) => keyText(key)),
  );
  const entries = open.map(({ key, state }) =>
    create(JournalEntrySchema, {
      taskId: BigInt(key.taskId),
      attempt: key.attempt,
      state: states[state],
    }),
  );
  const identity = {
    hostName: options.hostName,
    agentId: journal.agentId,
    journalId: journal.journalId,
    bootId: bootId(),
    storeId,
    agentVersion: options.agentVersion,
    labels: { ...options.labels },
    factsJson: options.factsJson(),
  };
  const messages: ConnectRequest[] = [];
  let from = 0;
  do {
    const page = entries.slice(from, from + entriesPerMessage);
    from += page.length;
    const value = { ...identity, entries: page, more: from < entries.length };
    messages.push(create(ConnectRequestSchema, { message: { case: "register", value } }));
  } while (from < entries.length);
  return { messages, endedThen };
}
