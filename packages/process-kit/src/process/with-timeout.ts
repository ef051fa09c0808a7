/**
 * Waits at most `ms` for another process's reply. Reads pending I/O before the timeout counts: after a busy period
 * timers run first, and a reply that has already arrived would count as late.
 *
 * @throws Error after `ms`, or the rejection of `reply`.
 */
export async function withTimeout<T>(reply: Promise<T>, ms: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  let turn: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    turn = setImmediate(() => reject(new Error('no response in time')));
  }, ms);
  try {
    return await Promise.race([reply, late]);
  } finally {
    clearTimeout(timer);
    clearImmediate(turn);
  }
}
