import { Code, ConnectError } from "@connectrpc/connect";
import type { JournalEntry, Register } from "@howdah/proto/howdah/v1/agent_registration";

/** What an agent has said to register, over all pages. */
export interface Registration {
  /** In lower case. */
  readonly hostName: string;
  /** The first page; only its entries are not all. */
  readonly register: Register;
  readonly entries: readonly JournalEntry[];
}

const maxEntriesInPage = 1_000;
const maxEntries = 100_000;
const maxFactsBytes = 64 << 10;
const maxLabelsBytes = 64 << 10;

/**
 * Collects the pages of a registration. Each call takes one and returns the registration after the last. Throws
 * INVALID_ARGUMENT, naming the field, the value and the way out.
 */
export function createRegistrationReader(): (page: Register) => Registration | undefined {
  let first: { register: Register; hostName: string } | undefined;
  const entries: JournalEntry[] = [];
  const seen = new Set<string>();

  return (page) => {
    first ??= { register: page, hostName: checkIdentity(page) };
    if (page.entries.length > maxEntriesInPage) {
      throw invalid(
        "entries",
        `${page.entries.length} in one message, at most ${maxEntriesInPage}; send more messages, with "more" set in all but the last`,
      );
    }
    for (const entry of page.entries) {
      const { taskId, attempt } = entry;
      if (taskId <= 0n || attempt <= 0) {
        throw invalid(
          "entries",
          `(task ${taskId}, attempt ${attempt}) is no attempt; both are counted from 1`,
        );
      }
      const key = `${taskId}/${attempt}`;
      if (seen.has(key)) continue;
      seen.add(key);
      entries.push(entry);
    }
    if (entries.length > maxEntries) {
      throw invalid(
        "entries",
        `more than ${maxEntries} in all; only unfinished and unacknowledged attempts are listed`,
      );
    }
    return page.more ? undefined : { ...first, entries };
  };
}

/** Checks who the agent says it is; the host's name in lower case. */
function checkIdentity(register: Register): string {
  const hostName = register.hostName.toLowerCase();
  if (hostName === "")
    throw invalid("host_name", "is empty; set the host's name in the agent's configuration");
  if (hostName.length > 255) {
    throw invalid(
      "host_name",
      `has ${hostName.length} characters, at most 255: "${hostName.slice(0, 40)}…"`,
    );
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\s\u0000-\u001f\u007f]/.test(hostName)) {
    throw invalid(
      "host_name",
      `${JSON.stringify(hostName.slice(0, 80))} has white space or control characters`,
    );
  }
  checkText("agent_id", register.agentId, { required: true });
  checkText("journal_id", register.journalId, { required: true });
  checkText("boot_id", register.bootId);
  checkText("store_id", register.storeId);
  checkText("agent_version", register.agentVersion);
  checkLabels(register.labels);
  checkFacts(register.factsJson);
  return hostName;
}

function checkText(field: string, value: string, { required = false } = {}): void {
  if (required && value === "")
    throw invalid(field, "is empty; the agent makes it at its first start");
  if (value.length > 64) {
    throw invalid(field, `has ${value.length} characters, at most 64: "${value.slice(0, 40)}…"`);
  }
}

function checkLabels(labels: Record<string, string>): void {
  let bytes = 0;
  for (const [name, value] of Object.entries(labels)) {
    if (name === "")
      throw invalid("labels", `the label with value "${value.slice(0, 40)}" has no name`);
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  }
  if (bytes > maxLabelsBytes)
    throw invalid("labels", `have ${bytes} bytes, at most ${maxLabelsBytes}`);
}

function checkFacts(factsJson: string): void {
  if (factsJson === "") return;
  const bytes = Buffer.byteLength(factsJson);
  if (bytes > maxFactsBytes)
    throw invalid("facts_json", `has ${bytes} bytes, at most ${maxFactsBytes}`);
  if (!isJsonObject(factsJson))
    throw invalid("facts_json", `is no JSON object: "${factsJson.slice(0, 40)}"`);
}

/** Whether a text is a JSON object. */
export function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function invalid(field: string, what: string): ConnectError {
  return new ConnectError(`${field}: ${what}`, Code.InvalidArgument);
}
