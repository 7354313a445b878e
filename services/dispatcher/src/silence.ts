import type { SessionRegistry } from "./session-registry.js";

/**
 * Looks after sessions of which nothing is heard, until the signal aborts. The connection's keepalive finds a host that has
 * vanished; this finds an agent that no longer speaks on a connection that is up. It is asked after one and a half heartbeats
 * of silence, and its session ends after three. Commands that wait for a former attempt are tried again in the same pass.
 */
export function watchSilence(
  registry: SessionRegistry,
  heartbeatMs: number,
  signal: AbortSignal,
): void {
  const timer = setInterval(() => {
    registry.forget();
    for (const session of registry.all()) {
      if (session.silentMs > 3 * heartbeatMs) {
        session.giveUp();
      } else if (session.silentMs > 1.5 * heartbeatMs) {
        void session.probe(heartbeatMs / 4);
      }
      session.outbox.unpark();
    }
  }, heartbeatMs / 4);
  timer.unref();
  signal.addEventListener("abort", () => clearInterval(timer));
}
