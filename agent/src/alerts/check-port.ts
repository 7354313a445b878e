import { createConnection } from "node:net";
import type { JsonObject } from "../json.js";
import { ownEntry } from "./address.js";
import { connectionProblem } from "./connection-problem.js";
import { type Found, numberOf, parameterOf, reportingNumber } from "./host-alert.js";
import { fillIn } from "./placeholders.js";
import type { HostNames } from "./web-address.js";

const okText = "TCP OK - {0:.4f} response on port {1}";
const failedText = "Connection failed: {0} to {1}:{2}";
const defaultWarning = 1.5;
const defaultCritical = 5;
/** A threshold from here on is taken for a mistake, as Ambari does. */
const longestThreshold = 30;
/** What is read of an answer. */
const mostAnswer = 4_096;

/**
 * Connects to a port, sends `socket.command` if the definition has one and waits for `socket.command.response`. OK or WARNING by the
 * seconds it took; CRITICAL when it took too long or failed.
 */
export async function checkPort(
  source: JsonObject,
  { hostNames, root }: HostNames,
  signal: AbortSignal,
): Promise<Found> {
  const address = ownEntry(fillIn(source.uri, root) ?? "", hostNames);
  const port = address.port ?? numberOf(source.default_port);
  if (port === undefined || !Number.isInteger(port) || port < 1 || port > 65_535) {
    const text = "The port is not configured, and the definition has no default port";
    return { state: "UNKNOWN", args: [], text };
  }
  const warning = threshold(reportingNumber(source, "warning"), defaultWarning);
  const critical = threshold(reportingNumber(source, "critical"), defaultCritical);
  const say = {
    command: textOf(fillIn(parameterOf(source, "socket.command"), root)),
    response: textOf(fillIn(parameterOf(source, "socket.command.response"), root)),
  };
  const hosts = address.host === undefined ? hostNames : [address.host];
  let problem = "";
  let tried = "";
  for (const host of hosts) {
    try {
      const seconds = await connect({ host, port, withinMs: critical * 1_000, ...say }, signal);
      const state = seconds >= critical ? "CRITICAL" : seconds >= warning ? "WARNING" : "OK";
      if (state === "CRITICAL") {
        return failed(`took ${seconds.toFixed(3)} s`, host, port);
      }
      return { state, args: [seconds, port], template: okText };
    } catch (error) {
      signal.throwIfAborted();
      // Told is what the first name came to: the others are only tried in case it is not known.
      if (tried === "") {
        tried = host;
        problem = connectionProblem(error);
      }
    }
  }
  return failed(problem, tried, port);
}

function failed(problem: string, host: string, port: number): Found {
  return { state: "CRITICAL", args: [problem, host, port], template: failedText };
}

function threshold(value: number | undefined, otherwise: number): number {
  return value !== undefined && value > 0 && value < longestThreshold ? value : otherwise;
}

function textOf(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

interface Connect {
  readonly host: string;
  readonly port: number;
  readonly withinMs: number;
  readonly command: string | undefined;
  readonly response: string | undefined;
}

/** Resolves with the seconds that it took. */
function connect(
  { host, port, withinMs, command, response }: Connect,
  signal: AbortSignal,
): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = createConnection({ host, port });
    const over = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", give);
      socket.destroy();
    };
    const fail = (error: Error) => {
      over();
      reject(error);
    };
    const done = () => {
      over();
      resolve((performance.now() - began) / 1_000);
    };
    const give = () => fail(signal.reason);
    const timer = setTimeout(
      () => fail(new Error(`timed out after ${withinMs / 1_000} s`)),
      withinMs,
    );
    signal.addEventListener("abort", give, { once: true });
    socket.on("error", fail);
    socket.on("connect", () => {
      if (command === undefined) return done();
      let answer = "";
      socket.setEncoding("latin1");
      socket.on("data", (text: string) => {
        answer += text;
        if (response === undefined || answer.includes(response)) return done();
        if (answer.length > mostAnswer) fail(unexpected(answer, response));
      });
      socket.on("end", () => fail(unexpected(answer, response ?? "anything")));
      socket.write(command);
    });
  });
}

function unexpected(answer: string, response: string): Error {
  const [said, wanted] = [answer.slice(0, 100), response.slice(0, 100)].map((text) =>
    JSON.stringify(text),
  );
  return new Error(`the answer was ${said} instead of ${wanted}`);
}
