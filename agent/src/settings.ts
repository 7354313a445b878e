import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { parse } from "ini";
import { z } from "zod";

/** Thrown when the ini file cannot be read or says something that cannot be; one line a problem. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";

  constructor(readonly problems: readonly string[]) {
    super(problems.join("\n"));
  }
}

const list = z
  .string()
  .transform((text) =>
    text
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== ""),
  )
  .pipe(z.array(z.string()).min(1, "is empty"));

const label = /^[A-Za-z0-9._/-]{1,63}$/;

const schema = z.strictObject({
  server: z.strictObject({
    /** The dispatchers' addresses for agents, `host:port`, with commas between them. One is chosen by chance. */
    address: list,
    /** PEM files for TLS; without `ca_file` and the others the connection is plaintext. */
    ca_file: z.string().optional(),
    cert_file: z.string().optional(),
    key_file: z.string().optional(),
  }),
  agent: z.strictObject({
    /** The host's name in the fleet. Default: what the machine calls itself. */
    hostname: z.string().min(1).max(255).default(hostname()),
    /** The folder below which everything of the agent is. */
    prefix: z.string().startsWith("/", "must be an absolute path").default("/var/lib/howdah-agent"),
    /** Default info. */
    log_level: z.enum(["debug", "info", "warn", "error"]).default("info"),
    /** The interpreter of PYTHON scripts. */
    python: z.string().default("python3"),
  }),
  /** Labels that operators select the host by: `rack = r12`. */
  labels: z.record(z.string().regex(label, "is no label"), z.string().max(63)).default({}),
});

/** What the ini file says. */
export interface Settings {
  readonly server: {
    readonly addresses: readonly string[];
    readonly caFile: string | undefined;
    readonly certFile: string | undefined;
    readonly keyFile: string | undefined;
  };
  /** In lower case. */
  readonly hostName: string;
  readonly prefix: string;
  readonly logLevel: "debug" | "info" | "warn" | "error";
  readonly python: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Reads `howdah-agent.ini`. Throws SettingsError, naming the file, the section, the key and what is wrong. */
export function readSettings(path: string): Settings {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new SettingsError([
      `${path} cannot be read (${(error as NodeJS.ErrnoException).code}); name the file with --config`,
    ]);
  }
  const result = schema.safeParse({ agent: {}, ...parse(text) });
  if (!result.success) {
    throw new SettingsError(result.error.issues.map((issue) => `${path}: ${problem(issue)}`));
  }
  const { server, agent, labels } = result.data;
  return {
    server: {
      addresses: server.address,
      caFile: server.ca_file,
      certFile: server.cert_file,
      keyFile: server.key_file,
    },
    hostName: agent.hostname.toLowerCase(),
    prefix: agent.prefix,
    logLevel: agent.log_level,
    python: agent.python,
    labels,
  };
}

function problem(issue: z.core.$ZodIssue): string {
  const [section, ...rest] = issue.path.map(String);
  const place = section === undefined ? "" : `[${section}] ${rest.join(".")}`.trim();
  if (issue.code === "unrecognized_keys") {
    const known = section === "server" ? schema.shape.server : schema.shape.agent;
    const names = section === undefined ? Object.keys(schema.shape) : Object.keys(known.shape);
    return `${place} ${issue.keys.join(", ")}: not known; known are ${names.join(", ")}`.trim();
  }
  return `${place}: ${issue.message}`;
}
