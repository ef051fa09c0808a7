import { setImmediate as nextTurn } from 'node:timers/promises';

const sliceMs = 10;

/** Calls `work` for each item, and lets the event loop serve requests after every 10 ms. */
export async function inSlices<Item>(items: Iterable<Item>, work: (item: Item) => void): Promise<void> {
  let startedMs = performance.now();
  for (const item of items) {
    work(item);
    if (performance.now() - startedMs < sliceMs) continue;
    await nextTurn();
    startedMs = performance.now();
  }
}
