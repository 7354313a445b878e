import { bytesMethod } from "../bare/bytes-method.js";

/** The echo's stream. */
export const echoMethod = bytesMethod("/bench.Echo/Echo");
