/** The agent's version, as its server and operators see it. */
export const agentVersion = "0.1.0";
