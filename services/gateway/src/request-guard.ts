import { isLoopback } from "@howdah/rpc/listen-address";

/** The headers of a request, as Node has them. */
export type RequestHeaders = Record<string, string | string[] | undefined>;

/**
 * Says why a request must not be served, or undefined. A gateway on a loopback address trusts whoever can reach it, and
 * every web page that is open in a browser on the same machine can: by a form that is sent to it, or by a name of the
 * page's own that is made to point to 127.0.0.1. Browsers tell the page's origin and the name; both are checked here.
 * @param allowedHosts names besides loopback ones by which the gateway may be called; undefined: any
 */
export function refusal(
  headers: RequestHeaders,
  allowedHosts: readonly string[] | undefined,
): string | undefined {
  const authority = one(headers[":authority"]) ?? one(headers.host);
  if (allowedHosts !== undefined && authority !== undefined) {
    const host = hostOf(authority);
    if (host === undefined || !(isLoopback({ host, port: 0 }) || allowedHosts.includes(host))) {
      return `this gateway is not known as "${authority}"; call it by a loopback address, or add the name to HOWDAH_ALLOWED_HOSTS`;
    }
  }
  const origin = one(headers.origin);
  if (origin === undefined) return undefined;
  if (URL.canParse(origin) && new URL(origin).host === authority) return undefined;
  return `pages of ${origin} may not call this gateway`;
}

/**
 * Lets `curl -d '{}' URL` work, which calls its data a form: taken for JSON where no browser sent it. (A browser tells
 * its origin, and pages of other origins could send forms.)
 */
export function acceptCurl(headers: RequestHeaders): void {
  if (headers.origin !== undefined || headers["sec-fetch-site"] !== undefined) return;
  if (headers["content-type"] === "application/x-www-form-urlencoded") {
    headers["content-type"] = "application/json";
  }
}

function hostOf(authority: string): string | undefined {
  if (!URL.canParse(`http://${authority}`)) return undefined;
  return new URL(`http://${authority}`).hostname.replace(/^\[(.*)\]$/, "$1");
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
