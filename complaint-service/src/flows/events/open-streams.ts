import { AppError } from '../../errors.ts';

/** The maximum per user and instance, enough for several browser tabs and devices. */
export const maxStreamsPerUser = 10;

/** Counts each user's open streams, both SSE and WebSocket. */
export class OpenStreams {
  readonly #byUser = new Map<string, number>();

  /** @returns A function that ends the stream. @throws AppError `too_many_streams` */
  open({ tenantId, userId }: Readonly<{ tenantId: string; userId: string }>): () => void {
    const key = JSON.stringify([tenantId, userId]);
    const open = this.#byUser.get(key) ?? 0;
    if (open >= maxStreamsPerUser) throw new AppError('too_many_streams');
    this.#byUser.set(key, open + 1);
    return () => {
      const left = (this.#byUser.get(key) ?? 1) - 1;
      if (left === 0) this.#byUser.delete(key);
      else this.#byUser.set(key, left);
    };
  }
}
