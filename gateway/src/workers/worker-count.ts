import { availableParallelism } from 'node:os';

const most = 256;

/**
 * @param text What stands behind `--workers`.
 * @returns How many processes that is; `all` is one for each core that this process may use. Undefined: it is no such number.
 */
export function parseWorkerCount(text: string): number | undefined {
  if (text === 'all') return Math.min(most, availableParallelism());
  if (!/^[1-9]\d{0,2}$/.test(text)) return undefined;
  const count = Number(text);
  return count <= most ? count : undefined;
}
