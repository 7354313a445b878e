import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";

// grpc-js writes to the console what it also throws (a port in use, say); the console is for log lines in JSON.
if (process.env.GRPC_VERBOSITY === undefined) setLogVerbosity(logVerbosity.NONE);
