import { connect } from 'node:net';

export type NewConnections = Readonly<{
  /**
   * Counts by outcome: the response status, the error code, or `ended` if the connection closed without a response.
   */
  outcomes: Readonly<Record<string, number>>;
  /** Settles when every client has been refused. */
  refused: Promise<unknown>;
}>;

/** Starts this many clients. Each sends requests on new connections until one gets no answer. */
export function newConnectionsTo(port: number, path: string, clients: number): NewConnections {
  const outcomes: Record<string, number> = {};

  function one(): Promise<string> {
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
      socket.once('close', () => resolve(failure ?? (answer === '' ? 'ended' : answer.slice(9, 12))));
    });
  }

  async function client(): Promise<void> {
    let outcome: string;
    do {
      outcome = await one();
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    } while (outcome !== 'ECONNREFUSED');
  }

  return { outcomes, refused: Promise.all(Array.from({ length: clients }, client)) };
}
