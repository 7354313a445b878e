import { AlertState } from "@howdah/proto/howdah/v1/alert";
import type {
  ListAlertHistoryRequest,
  ListAlertsRequest,
} from "@howdah/proto/howdah/v1/alert_service";
import { invalid } from "../invalid.js";
import { storedStates } from "../store/alert-states.js";
import type { AlertPlace } from "../store/list-alerts.js";

const usualPage = 100;
const longestPage = 1_000;

function pageSize(asked: number): number {
  if (asked < 0 || asked > longestPage) {
    throw invalid("page_size", asked, `must be from 1 to ${longestPage}, or 0 for ${usualPage}`);
  }
  return asked || usualPage;
}

function noToken(token: string) {
  return invalid("page_token", token, "is none of this method; leave it empty for the first page");
}

/** Checks and reads the page of a list of alerts. */
export function checkListAlerts(request: ListAlertsRequest): {
  limit: number;
  after: AlertPlace | undefined;
} {
  const known: readonly AlertState[] = storedStates;
  for (const state of request.states) {
    if (!known.includes(state)) {
      throw invalid(
        "states",
        AlertState[state] ?? state,
        "is no state of an alert; say OK, WARNING, CRITICAL or UNKNOWN",
      );
    }
  }
  const limit = pageSize(request.pageSize);
  const { pageToken: token } = request;
  if (token === "") return { limit, after: undefined };
  const [state, name, hostName] = Buffer.from(token, "base64url").toString().split("\n");
  const after = { state: Number(state) as AlertState, name: name ?? "", hostName: hostName ?? "" };
  if (alertToken(after) !== token || !known.includes(after.state)) throw noToken(token);
  return { limit, after };
}

/** The token of the page behind this place. */
export function alertToken({ state, name, hostName }: AlertPlace): string {
  // No name has a line feed in it.
  return Buffer.from(`${state}\n${name}\n${hostName}`).toString("base64url");
}

/** Checks and reads the page of a list of changes. */
export function checkListHistory(request: ListAlertHistoryRequest): {
  limit: number;
  below: number;
} {
  const limit = pageSize(request.pageSize);
  const { pageToken: token } = request;
  if (token !== "" && !/^[1-9]\d{0,15}$/.test(token)) throw noToken(token);
  return { limit, below: Number(token) };
}
