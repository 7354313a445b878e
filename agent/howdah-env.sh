# Read by bin/howdah-agent before it starts the agent; what is exported here is in the environment of the agent and of every script.
# Put it beside howdah-agent.ini or in the folder above, readable and writable by the agent's user alone (mode 0700).
# Variables for scripts alone belong into the section [environment] of howdah-agent.ini.

# The Node.js to run the agent with. Default: the first `node` on the PATH.
# NODE=/opt/node/bin/node

# export PATH="/opt/tools/bin:$PATH"
# export JAVA_HOME=/usr/lib/jvm/default
# export https_proxy=http://proxy.example.com:3128

# How long `stop` waits before it kills the agent, in seconds. Commands are not killed.
# HOWDAH_STOP_SECONDS=30
