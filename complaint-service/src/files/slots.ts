import { AppError } from '../errors.ts';

/** The owner of the work. The signal ends the wait if the browser disconnects. */
export type Turn = Readonly<{ tenantId: string; userId: string; signal: AbortSignal }>;

/**
 * Runs work in order of arrival, within limits.
 *
 * @throws AppError `attachments_busy` if too much work from the user, the tenant or everyone is already waiting, or if
 *   the wait takes too long. Throws the signal's reason if it aborts during the wait.
 */
export type Slots = <T>(turn: Turn, work: () => Promise<T>) => Promise<T>;

type SlotLimits = Readonly<{
  atOnce: number;
  maxWaiting: number;
  maxWaitMs: number;
  /** Limits for running and waiting work together. Each user's work runs one at a time. */
  perUser: number;
  perTenant: number;
}>;

/**
 * Limits how much work runs and waits at the same time. Decoding an image briefly takes one of libuv's four threads and
 * up to 200 MB, so without a limit a few uploads could stop an instance. Limits per user and tenant keep slots free for
 * others.
 */
export function createSlots(limits: SlotLimits): Slots {
  const running = new Set<Turn>();
  const waiting = new Map<Turn, () => void>();

  return async (turn, work) => {
    if (isFull(turn)) throw new AppError('attachments_busy');
    await start(turn);
    try {
      return await work();
    } finally {
      running.delete(turn);
      startNext();
    }
  };

  function isFull(turn: Turn): boolean {
    const all = [...running, ...waiting.keys()];
    return (
      waiting.size >= limits.maxWaiting ||
      all.filter(ofTenant(turn)).length >= limits.perTenant ||
      all.filter(ofUser(turn)).length >= limits.perUser
    );
  }

  async function start(turn: Turn): Promise<void> {
    turn.signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => leave(new AppError('attachments_busy')), limits.maxWaitMs);
    const onAbort = () => leave(turn.signal.reason);
    const leave = (reason: unknown) => {
      waiting.delete(turn);
      reject(reason);
    };
    turn.signal.addEventListener('abort', onAbort);
    waiting.set(turn, resolve);
    startNext();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      turn.signal.removeEventListener('abort', onAbort);
    }
  }

  /** Tenants without running work go first. Otherwise two users in one tenant could block all others. */
  function startNext(): void {
    while (running.size < limits.atOnce) {
      const turns = [...waiting.keys()];
      const next =
        turns.find((turn) => ![...running].some(ofTenant(turn))) ??
        turns.find((turn) => ![...running].some(ofUser(turn)));
      if (next === undefined) return;
      running.add(next);
      waiting.get(next)?.();
      waiting.delete(next);
    }
  }
}

const ofTenant =
  ({ tenantId }: Turn) =>
  (other: Turn) =>
    other.tenantId === tenantId;

const ofUser =
  ({ tenantId, userId }: Turn) =>
  (other: Turn) =>
    other.tenantId === tenantId && other.userId === userId;
