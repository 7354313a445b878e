import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { endProcessesBelow } from "@howdah/launcher/find-processes";
import {
  type Installation,
  type InstallationOptions,
  startInstallation,
} from "@howdah/launcher/start-installation";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { Concurrency } from "@howdah/proto/howdah/v1/operation";
import type { Request } from "@howdah/proto/howdah/v1/request";
import {
  RequestService,
  type SubmitRequestRequestSchema,
} from "@howdah/proto/howdah/v1/request_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { connectService } from "@howdah/service/connect-service";
import { type Simulator, startSimulator } from "@howdah/simulator/testing/simulator-process";
import type { BenchContext } from "../measure.js";
import { until } from "../until.js";
import { makeCertificates } from "./certificates.js";

/** A whole installation to measure: real processes on a private MariaDB with durable commits. */
export interface BenchSystem {
  readonly dir: string;
  readonly installation: Installation;
  /** Clients of the scheduler and the store themselves, as the gateway has them. */
  readonly requests: Client<typeof RequestService>;
  readonly store: Client<typeof CommandStoreService>;
  readonly fleet: Client<typeof FleetService>;
  readonly stacks: Client<typeof StackService>;
  /**
   * Plays so many more hosts in a process of their own, and resolves when all are connected. Their names begin with `sim`, unless
   * `args`, further options of the simulator, give another prefix.
   */
  playHosts(agents: number, ...args: string[]): Promise<Simulator>;
  /** Submits and resolves with the request's id: it is committed. */
  submit(request: MessageInitShape<typeof SubmitRequestRequestSchema>): Promise<bigint>;
  /** Submits a command line of the hosts that `select` names. */
  submitLine(select: string, line?: CommandLine): Promise<bigint>;
  /** Follows a request to its end. Rejects when it has not come within the time. */
  over(requestId: bigint, timeoutMs?: number): Promise<Request>;
  /** Ends everything and removes what it wrote, unless that is to be kept: for who goes on without it. */
  stop(): Promise<void>;
}

/** A command line. */
export interface CommandLine {
  /** Default `/bin/true`: simulated hosts run none. */
  readonly argv?: readonly string[];
  /** A host may run it beside others: it is sent up to four ahead. Default false. */
  readonly parallel?: boolean;
}

export interface BenchSystemOptions
  extends Pick<InstallationOptions, "agents" | "env" | "envOf" | "replicas"> {
  /** A folder that it keeps everything in for the next time, an absolute path. Default: none, all is removed when it stops. */
  readonly keptIn?: string;
  /** All processes and simulated hosts show each other a certificate. Default false; needs the openssl command. */
  readonly mutualTls?: boolean;
}

/** Starts an installation on free ports, until the end of the run. Rejects when that is interrupted. */
export async function startBenchSystem(
  context: Pick<BenchContext, "log" | "signal" | "after">,
  { keptIn, mutualTls = false, ...options }: BenchSystemOptions = {},
): Promise<BenchSystem> {
  const { log, signal } = context;
  signal.throwIfAborted();
  const dir = keptIn ?? (await mkdtemp(join(tmpdir(), "howdah-bench-")));
  const tls = mutualTls ? makeCertificates(join(dir, "tls")) : undefined;
  const env = {
    ...(tls !== undefined && {
      ...{ HOWDAH_TLS_CERT: tls.certFile, HOWDAH_TLS_KEY: tls.keyFile, HOWDAH_TLS_CA: tls.caFile },
    }),
    ...options.env,
  };
  const simulators: Simulator[] = [];
  let installation: Installation | undefined;
  const closers: { close(): void }[] = [];
  const stop = async () => {
    await Promise.all(simulators.map((simulator) => simulator.stop()));
    for (const closer of closers) closer.close();
    await installation?.stop();
    await endProcessesBelow(dir);
    if (keptIn === undefined) await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  };
  context.after(stop);
  installation = await startInstallation({
    ...{ dir, ports: "free", durable: true, ...options, env },
    onExit: ({ name, logFile }, { code }) => log(`${name} ended with code ${code}: ${logFile}`),
  });
  signal.throwIfAborted();
  const { commandStore, scheduler, dispatcher } = installation;
  const toStore = connectService({ address: commandStore.addresses.main ?? "", tls });
  const toScheduler = connectService({ address: scheduler.addresses.main ?? "", tls });
  closers.push(toStore, toScheduler);
  const requests = createClient(RequestService, toScheduler);
  const store = createClient(CommandStoreService, toStore);
  const submit: BenchSystem["submit"] = async (request) => {
    const answer = await requests.submitRequest(request, { signal });
    if (answer.request === undefined) throw new Error("the answer to a submit has no request");
    return answer.request.requestId;
  };
  return {
    ...{ dir, installation, requests, store, submit, stop },
    fleet: createClient(FleetService, toStore),
    stacks: createClient(StackService, toStore),
    async playHosts(agents, ...args) {
      const server = dispatcher.addresses.agents ?? "";
      const files =
        tls === undefined
          ? []
          : ["--tls-ca", tls.caFile, "--tls-cert", tls.certFile, "--tls-key", tls.keyFile];
      const simulator = startSimulator(server, "--agents", String(agents), ...files, ...args);
      simulators.push(simulator);
      await connected(simulator, agents, signal);
      return simulator;
    },
    submitLine(select, { argv = ["/bin/true"], parallel = false } = {}) {
      const value = { argv: [...argv], hosts: { names: [select] } };
      return submit({
        operation: { kind: { case: "adHoc", value } },
        ...(parallel && { options: { concurrency: Concurrency.PARALLEL } }),
      });
    },
    over: (requestId, timeoutMs = 600_000) => over(store, requestId, timeoutMs, signal),
  };
}

async function connected(simulator: Simulator, agents: number, signal: AbortSignal): Promise<void> {
  const count = () => simulator.counts()?.connected ?? 0;
  const isThere = () => {
    if (simulator.process.exitCode === null) return count() >= agents;
    throw new Error(`the simulator has ended: ${simulator.errors()}`);
  };
  const what = () => `${agents} hosts to be connected, which ${count()} are: ${simulator.errors()}`;
  await until(isThere, what, { signal, mostMs: 120_000, everyMs: 100 });
}

async function over(
  store: BenchSystem["store"],
  requestId: bigint,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Request> {
  let last: Request | undefined;
  for await (const { request } of store.watchRequest({ requestId }, { timeoutMs, signal })) {
    last = request ?? last;
  }
  if (last === undefined) throw new Error(`nothing was told of request ${requestId}`);
  return last;
}
