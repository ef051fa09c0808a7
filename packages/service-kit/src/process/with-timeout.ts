/**
 * Waits for an answer from another process for a bounded time. It is late only after what has arrived was read: where this process was
 * busy for so long, timers come first, and the other one would be blamed for it.
 *
 * @throws Error after `ms`, and whatever the answer rejects with.
 */
export async function withTimeout<T>(answer: Promise<T>, ms: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  let turn: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    turn = setImmediate(() => reject(new Error('no answer in time')));
  }, ms);
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
    clearImmediate(turn);
  }
}
