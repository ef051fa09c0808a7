/** The parts of the Web Locks API that we use. */
type Locks = Readonly<{
  request<T>(name: string, options: { ifAvailable?: boolean }, work: (lock: object | null) => Promise<T>): Promise<T>;
}>;

/** After another tab has finished its refresh, how long to wait for its outcome. */
const arrivesWithinMs = 1_000;

/** Lets a browser's tabs, which share the refresh cookie, also share refreshes. */
export class Tabs<State> {
  readonly #name: string;
  readonly #channel: BroadcastChannel;

  /** @param onState Receives the session that another tab announced, or undefined if it has ended. */
  constructor(name: string, onState: (state: State | undefined) => void) {
    this.#name = name;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }: { data: unknown }) => onState((data as { state?: State }).state);
  }

  announce(state: State | undefined): void {
    this.#channel.postMessage({ state });
  }

  /**
   * Runs `refresh` in one tab at a time. A tab that had to wait uses the other tab's outcome.
   *
   * @param isDone Whether that outcome has arrived.
   */
  async inOneTab<T>(refresh: () => Promise<T>, isDone: () => boolean, current: () => T): Promise<T> {
    const { locks } = navigator as unknown as { locks: Locks };
    const first = await locks.request(this.#name, { ifAvailable: true }, async (lock) =>
      lock === null ? undefined : { value: await refresh() },
    );
    if (first !== undefined) return first.value;
    return locks.request(this.#name, {}, async () => {
      if (!isDone()) await this.#nextMessage();
      return isDone() ? current() : refresh();
    });
  }

  #nextMessage(): Promise<void> {
    return new Promise((resolve) => {
      setTimeout(resolve, arrivesWithinMs);
      this.#channel.addEventListener('message', () => resolve(), { once: true });
    });
  }

  close(): void {
    this.#channel.close();
  }
}
