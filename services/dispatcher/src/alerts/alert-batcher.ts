import { clone } from "@bufbuild/protobuf";
import type { Client, ConnectError } from "@connectrpc/connect";
import type { AlertReport } from "@howdah/proto/howdah/v1/agent_service";
import { type AlertResult, AlertResultSchema } from "@howdah/proto/howdah/v1/alert";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { Logger } from "pino";
import { createAdaptiveBatcher } from "../adaptive-batcher.js";
import type { Session } from "../session.js";
import { type AlertAcks, createAlertAcks } from "./alert-acks.js";
import type { AlertExecutions } from "./alert-executions.js";
import { cutText, maxResults, resultProblem } from "./alert-result.js";
import { recordCalls } from "./record-calls.js";
import { reportUnderWay, WaitingAlert } from "./waiting-alert.js";

/** Passes what agents say about alerts to the store. */
export interface AlertBatcher {
  /**
   * Takes a report, and acknowledges it on the session once all of it that still matters is committed, or was refused for good, and so are
   * those before it. Of what waits, the newest word about each alert counts; what an execution found is told in any case.
   * @returns what is wrong with some of it, which is not passed on; undefined when nothing is
   */
  add(session: Session, report: AlertReport): string | undefined;
}

/** How to make one. */
export interface AlertBatcherOptions {
  readonly store: Pick<Client<typeof CommandStoreService>, "recordAlerts">;
  /** Those who wait for what an execution finds. */
  readonly executions: Pick<AlertExecutions, "expects" | "found" | "failed">;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** What is on its way of one session. */
interface OfSession {
  readonly waiting: Map<string, WaitingAlert>;
  /** Definitions that its host has not run for long, whole. */
  stale: readonly bigint[];
  readonly acks: AlertAcks;
}

/** An alert on its way, and what it found when somebody waits for that. */
interface Row {
  readonly alert: WaitingAlert;
  readonly execution?: { readonly id: bigint; readonly result: AlertResult };
}

/**
 * Makes it. What waits is bounded: 1,000 alerts for each session, and what executions found that somebody waits for. While the store is
 * away it is tried again; what a session said that has ended is dropped, for it was not acknowledged and is told again.
 */
export function createAlertBatcher(options: AlertBatcherOptions): AlertBatcher {
  const { store, executions, signal, log } = options;
  const sessions = new WeakMap<Session, OfSession>();

  function ofSession(session: Session): OfSession {
    let known = sessions.get(session);
    if (known === undefined) {
      const acks = createAlertAcks((sequence) => {
        if (session.current) session.outbox.acknowledgeAlerts(sequence);
      });
      known = { waiting: new Map(), stale: [], acks };
      sessions.set(session, known);
    }
    return known;
  }

  function settle(row: Row): void {
    const { alert } = row;
    if (alert.settle()) batcher.add(row);
    else sessions.get(alert.session)?.waiting.delete(alert.key);
  }

  const batcher = createAdaptiveBatcher<Row, undefined>({
    name: "alerts",
    maxRows: 1_000,
    maxBytes: 1 << 20,
    // `recordCalls` knows better.
    sizeOf: () => 100,
    wanted: ({ alert }) => alert.session.current,
    async send(rows, sending) {
      const words = rows.map(({ alert }) => [alert.session, alert.take()] as const);
      const staleOf = (session: Session) => ofSession(session).stale;
      for (const hosts of recordCalls(words, staleOf, performance.now())) {
        await store.recordAlerts({ hosts }, { signal: sending, timeoutMs: 30_000 });
      }
      return rows.map(() => undefined);
    },
    settled(row) {
      const { execution } = row;
      if (execution !== undefined) {
        executions.found(row.alert.session, execution.id, execution.result);
      }
      settle(row);
    },
    refused(row, error: ConnectError) {
      const { session, key } = row.alert;
      const fields = { host: session.identity.hostName, alert: key, reason: error.rawMessage };
      log.warn(fields, "the store refused an alert");
      if (row.execution !== undefined) {
        executions.failed(session, row.execution.id, `the store refused it: ${error.rawMessage}`);
      }
      settle(row);
    },
    signal,
    log,
  });

  return {
    add(session, { sequence, results, staleDefinitionIds }) {
      const known = ofSession(session);
      const report = reportUnderWay(known.acks.begin(sequence));
      let problem = reportProblem(results, staleDefinitionIds);
      const put = (key: string, result: AlertResult | undefined): void => {
        let alert = known.waiting.get(key);
        const isNew = alert === undefined;
        if (alert === undefined) {
          if (known.waiting.size >= maxResults) {
            problem ??= `results: more than ${maxResults} alerts wait to be recorded`;
            return;
          }
          alert = new WaitingAlert(session, key);
          known.waiting.set(key, alert);
        }
        alert.add(result, report);
        if (isNew) batcher.add({ alert });
      };

      for (const said of problem === undefined ? results : []) {
        const wrong = resultProblem(said);
        if (wrong !== undefined) {
          problem ??= wrong;
          continue;
        }
        const result = clone(AlertResultSchema, said);
        result.text = cutText(said.text);
        const { executionId: id } = result;
        if (result.definitionId === 0n) {
          // The host has no such alert: there is nothing to record, and maybe somebody to tell.
          executions.found(session, id, result);
          continue;
        }
        const key = `execution ${id}`;
        if (id !== 0n && executions.expects(session, id) && !known.waiting.has(key)) {
          const alert = new WaitingAlert(session, key);
          known.waiting.set(key, alert);
          alert.add(result, report);
          batcher.add({ alert, execution: { id, result } });
          continue;
        }
        // Nobody waits for it, or not any more.
        result.executionId = 0n;
        put(`${result.clusterId}/${result.definitionId}`, result);
      }
      if (problem === undefined && !sameIds(known.stale, staleDefinitionIds)) {
        known.stale = [...staleDefinitionIds];
        put("stale", undefined);
      }
      report.done();
      return problem;
    },
  };
}

/** Why nothing of a report can be taken; undefined when it can. */
function reportProblem(results: AlertResult[], stale: bigint[]): string | undefined {
  if (results.length > maxResults) {
    return `results: ${results.length} in one message, at most ${maxResults}`;
  }
  if (stale.length > maxResults) {
    return `stale_definition_ids: ${stale.length} in one message, at most ${maxResults}`;
  }
  const bad = stale.find((id) => id <= 0n);
  return bad === undefined ? undefined : `stale_definition_ids: ${bad} is no definition`;
}

function sameIds(some: readonly bigint[], others: readonly bigint[]): boolean {
  const set = new Set(some);
  return set.size === new Set(others).size && others.every((id) => set.has(id));
}
