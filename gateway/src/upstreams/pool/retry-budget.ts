/** Retries that an upstream may cost beyond its requests, so that they never make an outage worse. */
export type RetryBudget = Readonly<{
  /** A request came. */
  deposit(): void;
  /** @returns Whether one retry may be made; it is then paid for. */
  withdraw(): boolean;
}>;

/** One retry for five requests. */
const perRequest = 0.2;
/** What may be saved up, and what there is at the start: a restart of one instance is survived also when there was little traffic. */
export const mostSaved = 10;

export function createRetryBudget(): RetryBudget {
  let saved = mostSaved;
  return {
    deposit() {
      saved = Math.min(mostSaved, saved + perRequest);
    },
    withdraw() {
      if (saved < 1) return false;
      saved -= 1;
      return true;
    },
  };
}
