const questionsUntilHung = 6;

/**
 * Asks a process of a worker six times in `hungAfterMs`. It counts questions instead of time, so that a primary that was itself
 * suspended ends no worker that answers.
 *
 * @param ask Rejects if the process does not answer.
 * @param onHung Called once, when every question of `hungAfterMs` has stayed unanswered.
 * @returns Stops asking.
 */
export function watchWorker(ask: () => Promise<unknown>, hungAfterMs: number, onHung: () => void): () => void {
  let unanswered = 0;
  const asking = setInterval(() => {
    if (unanswered === questionsUntilHung) {
      clearInterval(asking);
      onHung();
      return;
    }
    unanswered += 1;
    ask().then(
      () => {
        unanswered = 0;
      },
      () => {},
    );
  }, hungAfterMs / questionsUntilHung).unref();
  return () => clearInterval(asking);
}
