/** Says which of many failures in a row are worth a line. */
export type Trouble = Readonly<{
  /**
   * @param hasWorked Whether it ever did. A service that starts beside us is not there at first, which is nothing to warn of.
   * @returns How loud to be; undefined: nothing new.
   */
  failed(hasWorked: boolean): 'info' | 'warn' | undefined;
  over(): void;
}>;

const startMayTakeMs = 10_000;
const repeatMs = 60_000;

/**
 * The first failure is told: as news where it worked before, and as information where it never did. While it lasts it is a
 * warning after 10 s, and then one a minute, however often it is tried.
 *
 * @param nowMs Milliseconds from any fixed origin.
 */
export function createTrouble(nowMs: () => number): Trouble {
  let nextAtMs: number | undefined;
  return {
    failed(hasWorked) {
      if (nextAtMs === undefined) {
        nextAtMs = nowMs() + startMayTakeMs;
        return hasWorked ? 'warn' : 'info';
      }
      if (nowMs() < nextAtMs) return undefined;
      nextAtMs = nowMs() + repeatMs;
      return 'warn';
    },
    over() {
      nextAtMs = undefined;
    },
  };
}
