import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';

export type ConnectionBalancer = Readonly<{
  url: string;
  /** Answers requests for the key set with these bytes from now on. If undefined, the services answer them. */
  answerKeys(bytes: string | undefined): void;
  /** How often these bytes were sent. */
  keyAnswers(): number;
  close(): Promise<void>;
}>;

/** One address for several services: connections go to each in turn. */
export async function connectionBalancer(ports: readonly number[]): Promise<ConnectionBalancer> {
  let keySet: string | undefined;
  let answers = 0;
  let next = 0;
  const server = createServer((client) => {
    client.on('error', () => client.destroy());
    client.once('data', (first) => {
      if (keySet !== undefined && first.toString('latin1').startsWith('GET /.well-known/jwks.json ')) {
        answers += 1;
        client.end(keySet);
        return;
      }
      const service = connect(ports[next % ports.length] ?? 0, '127.0.0.1');
      next += 1;
      service.on('error', () => client.destroy()).on('close', () => client.destroy());
      client.on('close', () => service.destroy());
      service.write(first);
      client.pipe(service).pipe(client);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answerKeys(bytes) {
      keySet = bytes;
      answers = 0;
    },
    keyAnswers: () => answers,
    async close() {
      server.close();
    },
  };
}
