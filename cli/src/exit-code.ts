/** What the command's exit code says; the README has the same list. */
export const ExitCode = {
  ok: 0,
  /** The request, or a task of it, did not end well; an alert that was run is not OK. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The server cannot be reached, or cannot answer now: trying again may help. */
  unavailable: 3,
  /** The server, or a file, refuses: not found, invalid, not in this state, not allowed. */
  refused: 4,
  /** The server has an error of its own. */
  internal: 5,
  /** Ctrl-C. What was asked of the server goes on there. */
  interrupted: 130,
} as const;
