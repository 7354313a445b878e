// A unary call over a stream that is kept: the same path and the same messages, but after an answer the client sends its next request on the
// same stream. Opening a stream costs both sides more than all else in a short call (docs/performance.md).

/** The header by which a client asks a server to take one request after another. A server that knows of none waits for the end of the requests. */
export const callStreamHeader = "x-call-stream";

/** The trailer of a stream that the server ended between two calls: what the client has sent since was not looked at. */
export const notTakenTrailer = "x-not-taken";
