import { setTimeout as delay } from 'node:timers/promises';

/** How long to reuse a rendered page for the same URL. */
const keptMs = 1_000;
const maxKept = 32;
/** How long to delay a reused page. Otherwise a client that reads in a loop would keep the process busy. */
const slowDownMs = 50;

const pause = (ms: number): Promise<void> => delay(ms, undefined, { ref: false });

/** Renders a page at most once a second for all readers of its URL. */
export class KeptPages<Page> {
  readonly #pages = new Map<string, Promise<Page>>();
  readonly #inTurn: (render: () => Promise<Page>) => Promise<Page>;

  constructor(inTurn: (render: () => Promise<Page>) => Promise<Page>) {
    this.#inTurn = inTurn;
  }

  /** @param url Identifies the page. Contains everything that the page depends on, except the gateway's state. */
  async of(url: string, render: () => Promise<Page>): Promise<Page> {
    const known = this.#pages.get(url);
    if (known !== undefined) {
      await pause(slowDownMs);
      return known;
    }
    const rendering = this.#inTurn(render);
    this.#pages.set(url, rendering);
    const forget = () => {
      if (this.#pages.get(url) === rendering) this.#pages.delete(url);
    };
    rendering.then(() => void pause(keptMs).then(forget), forget);
    const [oldest = url] = this.#pages.keys();
    if (this.#pages.size > maxKept) this.#pages.delete(oldest);
    return rendering;
  }
}
