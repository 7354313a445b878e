import assert from "node:assert/strict";
import { test } from "node:test";
import { ambariVariables } from "../ambari-variables.js";
import { agentFolders } from "../folders.js";
import type { Settings } from "../settings.js";
import { scriptEnvironment } from "./script-environment.js";

const folders = agentFolders("/srv/agent", { run: "/run/agent" });

test("Ambari's variables with our folders, whatever the agent itself was given in confidence", () => {
  const own = {
    ...{ PATH: "/usr/bin", HOME: "/root", AMBARI_PASSPHRASE: "x", HOWDAH_JOIN_TOKEN: "y" },
    ...{ HOWDAH_TASK: "of:the:former", HOWDAH_STEP: "1.script" },
  };
  assert.deepEqual(scriptEnvironment(folders, "store:1:1", { A: "b" }, own), {
    ...{ HOME: "/root", A: "b", HOWDAH_TASK: "store:1:1" },
    PATH: "/srv/agent/bin:/srv/agent:/usr/bin",
    PYTHONPATH: "/srv/agent/lib",
    AMBARI_AGENT_CONF_DIR: "/srv/agent/conf",
    AMBARI_AGENT_LOG_DIR: "/srv/agent/log",
    AMBARI_PID_DIR: "/run/agent",
  });
});

test("the agent's folders lead a PATH and a PYTHONPATH of the ini file or the command too", () => {
  const extra = { PATH: "/opt/bin", PYTHONPATH: "/opt/lib" };
  const own = { PATH: "/usr/bin", PYTHONPATH: "/usr/lib" };
  const { PATH, PYTHONPATH } = scriptEnvironment(folders, "store:1:1", extra, own);
  assert.deepEqual(
    [PATH, PYTHONPATH],
    ["/srv/agent/bin:/srv/agent:/opt/bin", "/srv/agent/lib:/opt/lib"],
  );
});

test("what Ambari's control script exports, and then what the ini file says", () => {
  const settings = {
    python: "/usr/bin/python3",
    environment: { JAVA_HOME: "/jdk", HOME_DIR: "/x" },
  };
  assert.deepEqual(ambariVariables(settings as unknown as Settings, "/etc/a.ini"), {
    PYTHON: "/usr/bin/python3",
    CONFIG_FILE: "/etc/a.ini",
    HOME_DIR: "/x",
    JAVA_HOME: "/jdk",
  });
});
