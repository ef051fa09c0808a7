/**
 * Waits for a reply from another process for at most `ms`. The timeout counts only after pending I/O was read: when
 * this process was busy, timers run first, and a reply that has arrived would count as late.
 *
 * @throws Error after `ms`. Rejections of `reply` pass through.
 */
export async function withTimeout<T>(reply: Promise<T>, ms: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  let turn: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    turn = setImmediate(() => reject(new Error('no answer in time')));
  }, ms);
  try {
    return await Promise.race([reply, late]);
  } finally {
    clearTimeout(timer);
    clearImmediate(turn);
  }
}
