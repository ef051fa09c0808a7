import { addressKey, widerKey } from '../http/ip-address.ts';

export type Claim = Readonly<{
  /** The client's IP address. Everything that is not an IP address counts as one client. */
  address: string;
  /** Who may use one of the kept places, such as an account. Only one waiter of the same name can. */
  keptFor?: string | undefined;
}>;

export type TurnBounds = Readonly<{
  maxWaiting: number;
  /** How many of these places are only for waiters with `keptFor`. Default: none. */
  kept?: number;
}>;

/** The longest wait at a kept place, in turns of other waiters, for the first waiter there. */
const turnsBetweenKept = 3;

/**
 * Picks the next waiter. Addresses (IPv4, or IPv6 /64) take turns, so a waiter that is alone at its address waits at
 * most one turn of each other address. Once the queue is half full, one address can have a quarter of it, and one IPv6
 * /48 half. A full queue removes the last waiter of the address with the most waiters, for an address with fewer. Once
 * half as many addresses as places are waiting, further IPv6 addresses count by /48.
 */
export class Turns<Waiter> {
  readonly #maxShared: number;
  readonly #maxKept: number;
  /** The waiters of each address, in the order of their turns. The next address comes first. */
  readonly #lines = new Map<string, Set<Waiter>>();
  /** The number of waiters for each IPv6 /48. */
  readonly #inNetworks = new Map<string, number>();
  readonly #kept = new Map<string, Waiter>();
  /** The key of each waiter in `#lines` or `#kept`. */
  readonly #places = new Map<Waiter, Readonly<{ key: string; isKept: boolean }>>();
  #turnsSinceKept = 0;

  constructor({ maxWaiting, kept = 0 }: TurnBounds) {
    this.#maxShared = maxWaiting - kept;
    this.#maxKept = kept;
  }

  get size(): number {
    return this.#places.size;
  }

  /** @returns The waiter that lost its place: this one if it is refused, or one that made room for it. */
  add({ address, keptFor }: Claim, waiter: Waiter): Waiter | undefined {
    if (keptFor !== undefined && this.#kept.size < this.#maxKept && !this.#kept.has(keptFor)) {
      this.#kept.set(keptFor, waiter);
      this.#places.set(waiter, { key: keptFor, isKept: true });
      return undefined;
    }
    const max = this.#maxShared;
    const shared = this.size - this.#kept.size;
    const key = this.#keyOf(address);
    const network = widerKey(key);
    const line = this.#lines.get(key) ?? new Set();
    const inNetwork = this.#inNetworks.get(network) ?? 0;
    const isOverShare = line.size >= Math.ceil(max / 4) || inNetwork >= Math.ceil(max / 2);
    if (isOverShare && shared >= max / 2) return waiter;
    const displaced = shared < max ? undefined : this.#lastOfLongest(line.size + 1);
    if (shared >= max && displaced === undefined) return waiter;
    if (displaced !== undefined) this.remove(displaced);
    this.#lines.set(key, line.add(waiter));
    this.#inNetworks.set(network, (this.#inNetworks.get(network) ?? 0) + 1);
    this.#places.set(waiter, { key, isKept: false });
    return displaced;
  }

  /** Removes and returns the next waiter. Undefined if there is none. */
  next(): Waiter | undefined {
    const [kept] = this.#kept.values();
    const [first] = this.#lines;
    if (kept !== undefined && (first === undefined || this.#turnsSinceKept >= turnsBetweenKept)) {
      this.#turnsSinceKept = 0;
      this.remove(kept);
      return kept;
    }
    if (first === undefined) return undefined;
    this.#turnsSinceKept += 1;
    const [key, line] = first;
    const [waiter] = line as Set<Waiter> & [Waiter];
    this.#lines.delete(key);
    this.#lines.set(key, line);
    this.remove(waiter);
    return waiter;
  }

  remove(waiter: Waiter): void {
    const place = this.#places.get(waiter);
    if (place === undefined) return;
    const { key, isKept } = place;
    this.#places.delete(waiter);
    if (isKept) {
      this.#kept.delete(key);
      return;
    }
    const line = this.#lines.get(key);
    line?.delete(waiter);
    if (line?.size === 0) this.#lines.delete(key);
    const network = widerKey(key);
    const left = (this.#inNetworks.get(network) ?? 1) - 1;
    if (left === 0) this.#inNetworks.delete(network);
    else this.#inNetworks.set(network, left);
  }

  #keyOf(address: string): string {
    const key = addressKey(address);
    return this.#lines.has(key) || this.#lines.size < this.#maxShared / 2 ? key : widerKey(key);
  }

  /** @returns The last waiter of the address with the most waiters, if it has more than this. */
  #lastOfLongest(than: number): Waiter | undefined {
    let longest: ReadonlySet<Waiter> | undefined;
    for (const line of this.#lines.values()) if (line.size > (longest?.size ?? than)) longest = line;
    return longest === undefined ? undefined : [...longest].at(-1);
  }
}
