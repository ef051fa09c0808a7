import { isDeepStrictEqual } from 'node:util';

/** A part that somebody holds, until they release it. */
export type Held<Part> = Readonly<{ part: Part; release(): void }>;

/**
 * Parts that a reload keeps: who wishes for what is there already gets that very part, with all that it knows, and the last
 * to release it closes it. Two configurations can be in use at once, and what is the same in both is there once.
 */
export type Kept<Wish, Part, On extends readonly object[] = readonly []> = Readonly<{
  /** @param on What the part is made of: it is the same part only if these are the very same too. */
  take(wish: Wish, ...on: On): Held<Part>;
  /** Settles when all that was released so far is closed. */
  closed(): Promise<void>;
}>;

export type KeptOptions<Wish, Part, On extends readonly object[]> = Readonly<{
  /** Equal for wishes that may be equal, so that not every one has to be compared with all others. */
  nameOf(wish: Wish): string;
  /** What it throws, `take` throws. */
  open(wish: Wish, ...on: On): Part;
  /** Called once a part, when nobody holds it any more. Must not throw or reject. */
  close(part: Part): void | Promise<void>;
}>;

export function createKept<Wish, Part, On extends readonly object[] = readonly []>(
  options: KeptOptions<Wish, Part, On>,
): Kept<Wish, Part, On> {
  type Entry = { readonly wish: Wish; readonly on: On; readonly part: Part; holders: number };
  const byName = new Map<string, Entry[]>();
  const closing = new Set<Promise<void>>();

  function entryFor(wish: Wish, on: On): Entry {
    const name = options.nameOf(wish);
    const entries = byName.get(name) ?? [];
    const isWished = (entry: Entry) =>
      entry.on.every((part, index) => part === on[index]) && isDeepStrictEqual(entry.wish, wish);
    const found = entries.find(isWished);
    if (found !== undefined) return found;
    const entry: Entry = { wish, on, part: options.open(wish, ...on), holders: 0 };
    byName.set(name, [...entries, entry]);
    return entry;
  }

  function release(entry: Entry): void {
    entry.holders -= 1;
    if (entry.holders > 0) return;
    const name = options.nameOf(entry.wish);
    const others = byName.get(name)?.filter((other) => other !== entry) ?? [];
    if (others.length > 0) byName.set(name, others);
    else byName.delete(name);
    const closed = Promise.resolve(options.close(entry.part)).finally(() => closing.delete(closed));
    closing.add(closed);
  }

  return {
    take(wish, ...on) {
      const entry = entryFor(wish, on);
      entry.holders += 1;
      let isHeld = true;
      return {
        part: entry.part,
        release() {
          if (!isHeld) return;
          isHeld = false;
          release(entry);
        },
      };
    },
    async closed() {
      await Promise.all(closing);
    },
  };
}
