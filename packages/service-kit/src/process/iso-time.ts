let second = Number.NaN;
let prefix = '';

/** Formats Unix milliseconds as `Date.toISOString` does. The text of the last second is kept, because log lines come in order. */
export function isoTime(nowMs: number): string {
  const milliseconds = nowMs % 1000;
  if (nowMs - milliseconds !== second) {
    second = nowMs - milliseconds;
    // Without the milliseconds and the `Z`.
    prefix = new Date(second).toISOString().slice(0, -4);
  }
  if (milliseconds < 10) return `${prefix}00${milliseconds}Z`;
  return milliseconds < 100 ? `${prefix}0${milliseconds}Z` : `${prefix}${milliseconds}Z`;
}
