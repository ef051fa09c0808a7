import type { RequestListener, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';

/** Ways in which a key set endpoint can misbehave. */
export const json =
  (value: unknown, headers: Record<string, string> = {}): RequestListener =>
  (_req, res) =>
    void res.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));

export const text =
  (body: string | Buffer, headers: Record<string, string> = {}): RequestListener =>
  (_req, res) =>
    void res.writeHead(200, headers).end(body);

export const status =
  (code: number, headers: Record<string, string> = {}): RequestListener =>
  (_req, res) =>
    void res.writeHead(code, headers).end();

export const hang: RequestListener = () => {};

export const breakOff: RequestListener = (req) => void req.socket.destroy();

/** Begins a response, and never ends it. */
export const stall: RequestListener = (_req, res) => void res.writeHead(200).write('{"keys":[');

/** Sends a byte from time to time. */
export const drip: RequestListener = (_req, res) => {
  res.writeHead(200);
  const timer = setInterval(() => res.write(' '), 20);
  res.once('close', () => clearInterval(timer));
};

/** Sends endlessly, as fast as the client reads. `sent` gets the number of bytes. */
export const endless =
  (sent: (bytes: number) => void): RequestListener =>
  (_req, res) => {
    res.writeHead(200, { 'content-type': 'application/json' });
    const chunk = Buffer.alloc(64 * 1024, ' ');
    const more = () => {
      while (!res.destroyed && res.write(chunk)) sent(chunk.length);
    };
    res.on('drain', more).once('close', () => res.off('drain', more));
    more();
  };

/** 64 MiB, compressed to 64 KiB. */
export const gzipBomb: RequestListener = text(gzipSync(Buffer.alloc(64 * 1024 * 1024, ' ')), {
  'content-encoding': 'gzip',
});

/** Announces more bytes than it sends. */
export const cutShort =
  (body: string): RequestListener =>
  (_req, res: ServerResponse) => {
    res.writeHead(200, { 'content-length': String(body.length + 10) });
    res.write(body, () => res.destroy());
  };
