import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  Concurrency,
  Guarantee,
  OnExceeded,
  OnFailure,
  type RequestOptionsSchema,
} from "@howdah/proto/howdah/v1/operation";
import type { Asked } from "../check/history.js";
import type { Random } from "../random.js";

/** How a request is to run, and what the checks know of that. */
export interface Choice {
  readonly options: MessageInitShape<typeof RequestOptionsSchema>;
  readonly asked: Partial<Omit<Asked, "context" | "hosts">>;
}

const backoffMs = 200;
const batchPauseMs = 200;
const nanosPerMs = 1_000_000;

/** Several choices as one; of two that say the same the last counts. */
export function all(...choices: readonly Choice[]): Choice {
  return {
    options: Object.assign({}, ...choices.map(({ options }) => options)),
    asked: Object.assign({}, ...choices.map(({ asked }) => asked)),
  };
}

/** What happens when something fails. */
export function onFailure(random: Random): Choice {
  const policy = random.pick(["ABORT", "ABORT", "CONTINUE", "SKIP", "HOLD"] as const);
  const budget = policy === "ABORT" ? { maxFailures: 0 } : {};
  return { options: { onFailure: OnFailure[policy] }, asked: { onFailure: policy, ...budget } };
}

/** Sometimes failures are tried again, and sometimes a command must not, or must, be run again that its host's end interrupted. */
export function retries(random: Random): Choice {
  const tries = random.chance(0.4);
  const maxAttempts = random.between(2, 3);
  const guarantee = random.pick(["", "", "AT_MOST_ONCE", "AT_LEAST_ONCE"] as const);
  return all(
    tries
      ? {
          options: { retry: { maxAttempts, backoff: { nanos: backoffMs * nanosPerMs } } },
          asked: { retry: { maxAttempts, backoffMs } },
        }
      : { options: {}, asked: {} },
    guarantee === ""
      ? { options: {}, asked: {} }
      : { options: { guarantee: Guarantee[guarantee] }, asked: { guarantee } },
  );
}

/** Sometimes beside other requests, or with a cap of its own. */
export function sharing(random: Random): Choice {
  const beside = random.chance(0.35);
  const atOnce = random.chance(0.15) ? random.between(1, 6) : undefined;
  return all(
    beside
      ? { options: { concurrency: Concurrency.PARALLEL }, asked: { concurrency: "PARALLEL" } }
      : { options: {}, asked: {} },
    atOnce === undefined
      ? { options: {}, asked: {} }
      : { options: { maxInFlight: atOnce }, asked: { atOnce } },
  );
}

/** Alone in the installation. */
export const exclusive: Choice = {
  options: { concurrency: Concurrency.EXCLUSIVE },
  asked: { concurrency: "EXCLUSIVE" },
};

/** In batches with a budget of failures; what exceeds it waits for an operator to resume, or is aborted. */
export function rollingBatches(random: Random): Choice {
  const canary = random.between(0, 2);
  const maxFailures = random.between(0, 2);
  const onExceeded = random.chance(0.25) ? OnExceeded.ABORT : OnExceeded.PAUSE;
  // Of 20 hosts, so that a request is a matter of seconds.
  const size = random.between(4, 10);
  const percent = random.pick([20, 30, 50]);
  const bySize = random.chance(0.5);
  return {
    options: {
      onFailure: OnFailure.CONTINUE,
      rolling: {
        ...{ canary, maxFailures, onExceeded, pause: { nanos: batchPauseMs * nanosPerMs } },
        batch: bySize
          ? { case: "batchSize", value: size }
          : { case: "batchPercent", value: percent },
      },
    },
    asked: {
      ...{ onFailure: "CONTINUE", maxFailures },
      rolling: { canary, pauseMs: batchPauseMs, batch: bySize ? { size } : { percent } },
    },
  };
}
