/**
 * What is found within that time travels together: while a cluster starts, each component of each host is told of, and each word is a
 * call to the store. What a command makes of its component the server knows by its result; everything else is looked for once a minute.
 */
export const tellAfterMs = 500;
