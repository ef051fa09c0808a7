import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestIssuer } from '@countersign/testing';

/** A feed item in the format of the auth-service. */
export type FeedItem = Readonly<Record<string, string>>;

export type IssuerServer = Readonly<{
  url: string;
  /** Requests to the feed so far: request target and headers. */
  questions: readonly Readonly<{ target: string; headers: Readonly<Record<string, string | undefined>> }>[];
  /** Appends items, and answers waiting long polls. */
  revoke(...items: FeedItem[]): void;
  /** Replaces the log, as after a restore from a backup. */
  replaceLog(id: string, ...items: FeedItem[]): void;
  /** While false, every request gets 500. */
  setHealthy(healthy: boolean): void;
  /** The same for the feed alone. */
  setFeedHealthy(healthy: boolean): void;
  /** Sets how the key set endpoint answers from now on. If undefined, with the keys of the issuer. */
  answerKeys(answer: RequestListener | undefined): void;
  /** Sets how the feed answers from now on. If undefined, with the log. */
  answerFeed(answer: RequestListener | undefined): void;
  keyFetches(): number;
  close(): Promise<void>;
}>;

/** The auth-service as the gateway sees it: a key set, and a revocation log with long polling. */
export async function issuerServer(issuer: TestIssuer, batchSize = 5_000): Promise<IssuerServer> {
  let log = { id: 'log-1', items: [] as FeedItem[] };
  let healthy = true;
  let feedHealthy = true;
  let keyFetches = 0;
  const ownKeys: RequestListener = (_req, res) => void res.end(JSON.stringify(issuer.jwks));
  let keysAnswer = ownKeys;
  let feedAnswer: RequestListener | undefined;
  const questions: IssuerServer['questions'][number][] = [];
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const answer of [...waiting]) answer();
  };

  function answerFeed(query: URLSearchParams, res: ServerResponse): void {
    const isOurs = query.get('log') === log.id && Number(query.get('after')) <= log.items.length;
    const after = isOurs ? Number(query.get('after')) : 0;
    const send = () => {
      waiting.delete(send);
      clearTimeout(timer);
      const items = log.items.slice(after, after + batchSize);
      const cursor = after + items.length;
      res.setHeader('content-type', 'application/json');
      res.end(JSON.stringify({ log: log.id, cursor, complete: cursor === log.items.length, items }));
    };
    const timer = setTimeout(send, Number(query.get('wait')) * 1000);
    res.once('close', () => {
      waiting.delete(send);
      clearTimeout(timer);
    });
    if (!isOurs || log.items.length > after || query.get('wait') === '0') send();
    else waiting.add(send);
  }

  const server = createServer((req, res) => {
    const url = new URL(req.url ?? '/', 'http://issuer.test');
    if (url.pathname === '/jwks.json') keyFetches += 1;
    else questions.push({ target: req.url ?? '', headers: req.headers as Record<string, string> });
    if (!healthy) res.writeHead(500).end();
    else if (url.pathname === '/jwks.json') keysAnswer(req, res);
    else if (!feedHealthy) res.writeHead(500).end();
    else if (feedAnswer !== undefined) feedAnswer(req, res);
    else answerFeed(url.searchParams, res);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    questions,
    revoke(...items) {
      log.items.push(...items);
      wake();
    },
    replaceLog(id, ...items) {
      log = { id, items };
      wake();
    },
    setHealthy(value) {
      healthy = value;
      if (!healthy) server.closeAllConnections();
    },
    setFeedHealthy(value) {
      feedHealthy = value;
    },
    answerKeys(answer = ownKeys) {
      keysAnswer = answer;
    },
    answerFeed(answer) {
      feedAnswer = answer;
      // Makes waiting long polls check again.
      server.closeAllConnections();
    },
    keyFetches: () => keyFetches,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** An item that takes effect now, for the lifetime of a token. */
export function feedItem(kind: string, names: Readonly<Record<string, string>>, nowMs = Date.now()): FeedItem {
  const nextSecond = Math.floor(nowMs / 1000) * 1000 + 1000;
  return {
    kind,
    ...names,
    not_before: new Date(nextSecond).toISOString(),
    expires_at: new Date(nextSecond + 900_000).toISOString(),
  };
}
