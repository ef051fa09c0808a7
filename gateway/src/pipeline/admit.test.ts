import { once } from 'node:events';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { expect, test } from '@jest/globals';
import { ConcurrencyCounter, createAdmitUpload } from './admit.ts';
import type { Signed } from './exchange.ts';

const upload = (address = '192.0.2.1') =>
  ({
    client: { address },
    stream: new IncomingMessage(new Socket()),
  }) as unknown as Signed;

test('limits concurrent uploads per address, and frees a slot when one ends', async () => {
  const admit = createAdmitUpload(new ConcurrencyCounter(), 2);
  const [first, second] = [upload(), upload()];
  admit(first);
  admit(second);
  expect(() => admit(upload())).toThrow(expect.objectContaining({ code: 'rate_limited' }));
  admit(upload('192.0.2.2'));
  first.stream.push(null);
  first.stream.resume();
  await once(first.stream, 'end');
  admit(upload());
  second.stream.destroy();
  await once(second.stream, 'close');
  admit(upload());
  expect(() => admit(upload())).toThrow(expect.objectContaining({ code: 'rate_limited' }));
});

test('a disconnected client takes no slot', async () => {
  const admit = createAdmitUpload(new ConcurrencyCounter(), 1);
  const gone = upload();
  gone.stream.destroy();
  await once(gone.stream, 'close');
  admit(gone);
  admit(upload());
});
