import { useSyncExternalStore } from 'react';

/** A value outside of React. When it changes, components that read it with {@link useStored} render again. */
export type Stored<T> = Readonly<{ get(): T; set(value: T): void; subscribe(listener: () => void): () => void }>;

export function stored<T>(initial: T): Stored<T> {
  let current = initial;
  const listeners = new Set<() => void>();
  return {
    get: () => current,
    set(value) {
      if (Object.is(value, current)) return;
      current = value;
      for (const listener of listeners) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export const useStored = <T>({ subscribe, get }: Stored<T>): T => useSyncExternalStore(subscribe, get);
