import { setTimeout as delay } from 'node:timers/promises';

/** Waits for an effect by polling. Returns as soon as the check passes. @throws The last failure, after `withinMs`. */
export async function eventually<T>(look: () => T | Promise<T>, withinMs = 10_000): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await delay(20);
    }
  }
}
