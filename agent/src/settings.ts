import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { parseListenAddress } from "@howdah/rpc/listen-address";
import { parse } from "ini";
import { z } from "zod";

/** Thrown when the ini file cannot be read or says something that cannot be; one line a problem. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";

  constructor(readonly problems: readonly string[]) {
    super(problems.join("\n"));
  }
}

/** What the ini file's reader takes for more than text: `true`, and a key without a value. */
const text = z.preprocess(
  (value) => (typeof value === "boolean" || value === null ? String(value) : value),
  z.string("must be written once, as KEY = VALUE").min(1, "is empty"),
);

const addresses = text
  .transform((list) =>
    list
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== ""),
  )
  .superRefine((list, context) => {
    if (list.length === 0) context.addIssue("is empty");
    for (const address of list) {
      try {
        if (parseListenAddress(address).port === 0) throw new Error();
      } catch {
        context.addIssue(
          `${JSON.stringify(address)} is no address; write HOST:PORT, such as dispatcher.example.com:7440, with commas between several`,
        );
      }
    }
  });

const path = text.refine((value) => value.startsWith("/"), "must be an absolute path");
const labelName = /^[A-Za-z0-9._/-]{1,63}$/;

const unitsMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };
const interval = text.transform((value, context) => {
  const [, number, unit = ""] = /^([0-9]{1,9})(s|m|h)$/.exec(value) ?? [];
  const ms = Number(number) * (unitsMs[unit] ?? Number.NaN);
  if (ms >= 1_000 && ms <= 24 * 3_600_000) return ms;
  context.addIssue(`${JSON.stringify(value)} is no interval; write 30s, 5m or 2h, from 1s to 24h`);
  return z.NEVER;
});

const server = z.strictObject({
  /** The dispatchers' addresses for agents, `host:port`, with commas between them. They are tried in an order by chance. */
  address: addresses,
  /** PEM files for TLS: whom to trust, and the agent's own certificate. Without any of them the connection is plaintext. */
  ca_file: path.optional(),
  cert_file: path.optional(),
  key_file: path.optional(),
});

const agent = z.strictObject({
  /** The host's name in the fleet. Default: what the machine calls itself. */
  hostname: text
    .refine((name) => name.length <= 255, "has more than 255 characters")
    .refine((name) => /^[^\s\p{Cc}]+$/u.test(name), "has white space or control characters")
    .default(hostname()),
  /** The folder below which everything of the agent is. */
  prefix: path.default("/var/lib/howdah-agent"),
  /** Default info. */
  log_level: z
    .enum(["debug", "info", "warn", "error"], "must be debug, info, warn or error")
    .default("info"),
  /** The interpreter of PYTHON scripts. */
  python: text.default("python3"),
  /** How often the status of components is checked when no server asks for it. */
  component_status_interval: interval.prefault("60s"),
});

const sections = z.strictObject({
  server,
  agent,
  /** Labels that operators select the host by: `rack = r12`. */
  labels: z
    .record(
      z.string(),
      text.refine((value) => value.length <= 63, "has more than 63 characters"),
    )
    .superRefine((labels, context) => {
      for (const name of Object.keys(labels).filter((name) => !labelName.test(name))) {
        context.addIssue({
          code: "custom",
          path: [name],
          message: "is no label: letters, digits, . _ / and -, at most 63",
        });
      }
    })
    .default({}),
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
  readonly componentStatusIntervalMs: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** Reads `howdah-agent.ini`. Throws SettingsError, naming the file, the section, the key and what is wrong. */
export function readSettings(file: string): Settings {
  let content: string;
  try {
    content = readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SettingsError([`${file} cannot be read (${code}); name the file with --config`]);
  }
  // A missing section is an empty one, so that what is said names the key that is missing.
  const said: Record<string, unknown> = { server: {}, agent: {}, ...parse(content) };
  const result = sections.safeParse(said);
  if (!result.success) {
    throw new SettingsError(result.error.issues.flatMap((issue) => problems(file, issue, said)));
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
    componentStatusIntervalMs: agent.component_status_interval,
    labels,
  };
}

function problems(file: string, issue: z.core.$ZodIssue, said: Record<string, unknown>): string[] {
  const [section, ...rest] = issue.path.map(String);
  const key = rest.join(".");
  if (issue.code === "unrecognized_keys") {
    const known = Object.keys(
      section === undefined ? sections.shape : (section === "server" ? server : agent).shape,
    );
    return issue.keys.map((name) =>
      section === undefined
        ? `${file}: [${name}] or ${name} outside of a section is not known; there are the sections ${known.join(", ")}`
        : `${file}: [${section}] ${name} is not known; known are ${known.join(", ")}`,
    );
  }
  if (section === "server" && key === "address" && !Object.hasOwn(Object(said.server), key)) {
    return [
      `${file}: [server] address is missing; set it to where agents reach a dispatcher, HOST:PORT`,
    ];
  }
  const place = key === "" ? `[${section}]` : `[${section}] ${key}`;
  return [`${file}: ${place} ${issue.message}`];
}
