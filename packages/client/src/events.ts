import type { paths } from './api-types.ts';
import { sleep } from './retry.ts';
import { ApiError, problemOf, type Send } from './send.ts';

/** A server-sent event. */
export type StreamEvent = Readonly<{ id: string | undefined; event: string; data: string }>;

/**
 * Parses server-sent events that arrive in pieces. We do not use a package, because the maintained ones export
 * TypeScript under the condition `source`, which this repository uses.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class EventParser {
  /** The reconnection delay that the server requested. */
  retryMs: number | undefined;
  #rest = '';
  #id: string | undefined;
  #event = '';
  #data: string[] = [];

  /** Returns the events that `text` completes. */
  push(text: string): StreamEvent[] {
    // A CR at the end may be half of a CRLF, so it waits for more text.
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    return lines.flatMap((line) => this.#take(line) ?? []);
  }

  #take(line: string): StreamEvent | undefined {
    if (line === '') return this.#dispatch();
    const [, field = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === 'data') this.#data.push(value);
    if (field === 'event') this.#event = value;
    if (field === 'id' && !value.includes('\0')) this.#id = value;
    if (field === 'retry' && /^[0-9]+$/.test(value)) this.retryMs = Number(value);
    return undefined;
  }

  #dispatch(): StreamEvent | undefined {
    const event = { id: this.#id, event: this.#event || 'message', data: this.#data.join('\n') };
    const isEmpty = this.#data.length === 0;
    this.#id = undefined;
    this.#event = '';
    this.#data = [];
    return isEmpty ? undefined : event;
  }
}

type EventStream = Readonly<{
  get: { responses: { 200: { content: { 'text/event-stream': string } } } };
}>;

/** Paths that send server-sent events. */
export type EventPath = {
  [Path in keyof paths]: paths[Path] extends EventStream ? Path : never;
}[keyof paths];

export type EventStreamOptions = Readonly<{
  /** Ends the stream and the loop over it. */
  signal?: AbortSignal;
  /** Resumes after this event. */
  lastEventId?: string;
}>;

const defaultRetryMs = 1_000;

/**
 * Reads server-sent events with `fetch`, which can send the access token in a header, unlike `EventSource`. Reopens a
 * stream that breaks or whose token expires, and continues after the last event. Status 204 ends it.
 *
 * @throws ApiError if the stream is refused.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export async function* readEvents(
  send: Send,
  url: string,
  { signal = new AbortController().signal, lastEventId }: EventStreamOptions,
): AsyncGenerator<StreamEvent, void, undefined> {
  let last = lastEventId;
  let retryMs = defaultRetryMs;
  while (!signal.aborted) {
    const response = await open(send, url, last, signal);
    if (response === 'end') return;
    if (response !== 'broken') {
      const parser = new EventParser();
      for await (const text of textOf(response)) {
        for (const event of parser.push(text)) {
          last = event.id ?? last;
          yield event;
        }
        retryMs = parser.retryMs ?? retryMs;
      }
    }
    await sleep(retryMs, signal).catch(() => {});
  }
}

type Body = NonNullable<Response['body']>;

/** Reads a body as text until it ends or breaks. Safari's streams have no async iterator. */
async function* textOf(body: Body): AsyncGenerator<string, void, undefined> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }) as const);
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function open(
  send: Send,
  url: string,
  last: string | undefined,
  signal: AbortSignal,
): Promise<Body | 'broken' | 'end'> {
  const headers = { accept: 'text/event-stream', ...(last !== undefined && { 'last-event-id': last }) };
  const response = await send(new Request(url, { headers, signal, cache: 'no-store' })).catch((error: unknown) => {
    if (error instanceof ApiError) throw error;
    return undefined;
  });
  if (signal.aborted || response?.status === 204) return 'end';
  if (response === undefined || response.status >= 500) return 'broken';
  const isStream = response.ok && response.headers.get('content-type')?.startsWith('text/event-stream');
  if (!isStream || response.body === null) throw new ApiError(response.status, await problemOf(response));
  return response.body;
}
