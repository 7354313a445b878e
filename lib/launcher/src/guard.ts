import { spawn } from "node:child_process";
import type { Writable } from "node:stream";
import type { ProcessIdentity } from "./process-identity.js";

// Reads "add PID TICKS" and "drop PID"; when the input ends, ends what is left on the list, each only if it is still
// that process. In a shell, since it must cost next to nothing and outlive this process.
const script = `
list=
alive() {
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  ticks=$2
  set -- \${stat##*) }
  [ "$1" != Z ] && [ "\${20}" = "$ticks" ]
}
while read -r verb pid ticks; do
  if [ "$verb" = add ]; then list="$list $pid:$ticks"; continue; fi
  rest=
  for entry in $list; do [ "\${entry%%:*}" = "$pid" ] || rest="$rest $entry"; done
  list=$rest
done
for entry in $list; do alive "\${entry%%:*}" "\${entry#*:}" && kill -TERM "\${entry%%:*}"; done
tries=0
while [ $tries -lt 100 ]; do
  rest=
  for entry in $list; do alive "\${entry%%:*}" "\${entry#*:}" && rest="$rest $entry"; done
  list=$rest
  [ -n "$list" ] || exit 0
  sleep 0.1
  tries=$((tries + 1))
done
for entry in $list; do alive "\${entry%%:*}" "\${entry#*:}" && kill -KILL "\${entry%%:*}"; done
`;

let input: Writable | undefined;

function guardInput(): Writable {
  if (input && !input.destroyed) return input;
  // A session of its own: the terminal's Ctrl-C is for the launcher alone.
  const child = spawn("/bin/sh", ["-c", script], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
  });
  child.unref();
  child.on("error", () => {}); // without a guard, the next start still finds what is left behind
  child.stdin.on("error", () => {});
  (child.stdin as unknown as { unref?: () => void }).unref?.();
  input = child.stdin;
  return input;
}

/**
 * Sees that a child does not outlive this process, even when that is killed with SIGKILL: a small shell notices, sends
 * SIGTERM, and SIGKILL after 10 s. Call `release` when the child has ended.
 */
export function guard({ pid, startTicks }: ProcessIdentity): { release(): void } {
  guardInput().write(`add ${pid} ${startTicks}\n`);
  return {
    release() {
      guardInput().write(`drop ${pid}\n`);
    },
  };
}
