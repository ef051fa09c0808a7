import { connect } from 'node:net';

export type NewConnections = Readonly<{
  /** How many ended how: the status of the answer, or the error's code. */
  outcomes: Readonly<Record<string, number>>;
  /** Opens no more; settles when all are over. */
  stop(): Promise<void>;
}>;

/** So many requests a second, each on a connection of its own, until it is stopped. */
export function newConnectionsTo(port: number, path: string, perSecond: number): NewConnections {
  const outcomes: Record<string, number> = {};
  const underWay = new Set<Promise<void>>();
  const startedAt = performance.now();
  let sent = 0;

  function one(): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1');
      let answer = '';
      let failure: string | undefined;
      socket.write(`GET ${path} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n`);
      socket.on('data', (chunk) => {
        answer += chunk.toString('latin1');
      });
      socket.on('error', ({ code }: NodeJS.ErrnoException) => {
        failure = code;
      });
      socket.once('close', () => {
        const outcome = failure ?? (answer === '' ? 'no answer' : answer.slice(9, 12));
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        resolve();
      });
    });
  }

  const timer = setInterval(() => {
    for (const due = ((performance.now() - startedAt) / 1000) * perSecond; sent < due; sent += 1) {
      const connection = one();
      underWay.add(connection);
      void connection.then(() => underWay.delete(connection));
    }
  }, 1);
  return {
    outcomes,
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
    },
  };
}
