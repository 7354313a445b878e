import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { within } from "./within.js";

/** How a page is asked for. */
export interface GetOptions {
  /** For all of it, redirects and body included. */
  readonly timeoutMs: number;
  /** Read the body, up to so many bytes. Default: the body is not read. */
  readonly mostBytes?: number;
}

/** What a web server answered. */
export interface Answer {
  readonly status: number;
  /** Empty when it was not to be read. */
  readonly body: string;
  /** Redirected more often than anybody should. */
  readonly endless: boolean;
}

const mostRedirects = 5;

/**
 * Asks for a page, following redirects. Certificates are not checked: those of cluster services are mostly their own, nothing secret is
 * sent, and what is asked is whether anybody answers.
 * @throws an Error when there is no answer within the time, or more of it than is taken
 */
export async function httpGet(
  url: string,
  { timeoutMs, mostBytes }: GetOptions,
  signal: AbortSignal,
): Promise<Answer> {
  return within(timeoutMs, "no answer", signal, async (either) => {
    let at = url;
    for (let redirects = 0; ; redirects += 1) {
      const response = await ask(at, either);
      const { statusCode: status = 0, headers } = response;
      const next = status >= 300 && status < 400 ? target(headers.location, at) : undefined;
      if (next === undefined || redirects === mostRedirects) {
        const endless = next !== undefined;
        const body = mostBytes === undefined || endless ? "" : await readBody(response, mostBytes);
        response.destroy();
        return { status, body, endless };
      }
      response.destroy();
      at = next;
    }
  });
}

function ask(url: string, signal: AbortSignal): Promise<IncomingMessage> {
  const options = {
    signal,
    agent: false,
    rejectUnauthorized: false,
    headers: { accept: "*/*", "user-agent": "howdah-agent" },
  };
  return new Promise((resolve, reject) => {
    const request = (url.startsWith("https:") ? httpsRequest : httpRequest)(url, options, resolve);
    request.on("error", reject);
    request.end();
  });
}

/** Where a redirect leads; undefined for nowhere that can be asked. */
function target(location: string | undefined, from: string): string | undefined {
  if (location === undefined || !URL.canParse(location, from)) return undefined;
  const { protocol, href } = new URL(location, from);
  return protocol === "http:" || protocol === "https:" ? href : undefined;
}

async function readBody(response: IncomingMessage, mostBytes: number): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > mostBytes) throw new Error(`the answer is longer than ${mostBytes >> 20} MiB`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}
