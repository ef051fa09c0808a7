import type { paths } from './api-types.ts';
import { EventParser, type StreamEvent } from './event-parser.ts';
import { ApiError, problemOf } from './problem.ts';
import { sleep } from './retry.ts';
import type { Send } from './send.ts';

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
