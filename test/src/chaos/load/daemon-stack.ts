import { pushStack } from "../../system/fleet.js";
import { writeStack } from "../../system/write-stack.js";
import type { Operators } from "./operators.js";

/** The cluster of the daemons, on the hosts of the other one. */
export const daemonCluster = "daemon";

/** The alerts of each daemon: whether a listener answers. */
export const alertNames = ["runner_port", "runner_door"];

const alertsJson = JSON.stringify({
  DAEMON: {
    RUNNER: alertNames.map((name) => ({
      ...{ name, label: name, interval: 1, scope: "HOST", enabled: true },
      source: { type: "PORT", uri: "{{daemon-env/address}}", default_port: 1 },
    })),
  },
});

/**
 * START writes down when it began, whether the daemon ran already, and when it was done. The daemon is none of the processes that count as
 * a host's commands, and outlives the host's crash.
 */
const script = `
log="\${HOWDAH_SCRIPT_LOG%.log}.daemon"
lives() { [ -e "$log.pid" ] && kill -0 "$(cat "$log.pid")" 2>/dev/null; }
tell() {
  read -r at _ </proc/uptime
  echo "$1 $$ $at $2" >>"$log"
}
case $1 in
INSTALL) ;;
START)
  if lives; then tell start up; else tell start down; fi
  sleep 0.5
  (
    unset HOWDAH_SCRIPT_LOG
    setsid tail -f "$log" </dev/null >/dev/null 2>&1 &
    echo $! >"$log.pid"
  )
  tell end done
  ;;
STATUS) lives ;;
*) exit 9 ;;
esac
`;

const environment = {
  ...{ recovery_enabled: "true", recovery_type: "AUTO_START", recovery_retry_interval: "1" },
  ...{ recovery_max_count: "50", recovery_lifetime_max_count: "500" },
};
/** Makes the cluster of the daemons. @param dir where its stack is written @param listener what the alerts look at */
export async function applyDaemons(
  operators: Operators,
  { hosts, dir, listener }: { readonly hosts: readonly string[]; dir: string; listener: string },
): Promise<void> {
  const stack = writeStack(dir, "DAEMON", [{ name: "RUNNER", script: "daemon.sh" }], {
    "package/scripts/daemon.sh": script,
    "alerts.json": alertsJson,
    "configuration/daemon-env.xml":
      "<configuration><property><name>address</name><value>none</value></property></configuration>",
  });
  await pushStack(operators.door(), stack);
  await operators.door().fleet.applyCluster({
    ...{ name: daemonCluster, stack: "DAEMON/1.0" },
    services: [
      { name: "DAEMON", components: [{ name: "RUNNER", hostNames: [...hosts], autoStart: true }] },
    ],
    configurations: {
      "cluster-env": { properties: environment },
      "daemon-env": { properties: { address: listener } },
    },
  });
}
