import { once } from 'node:events';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { expect, test } from '@jest/globals';
import { ConcurrencyCounter, createClaimUpload } from './claim-slot.ts';
import type { Signed } from './exchange.ts';

const upload = (address = '192.0.2.1') =>
  ({
    client: { address },
    stream: new IncomingMessage(new Socket()),
  }) as unknown as Signed;

test('limits concurrent uploads per address, and frees a slot when one ends', async () => {
  const claim = createClaimUpload(new ConcurrencyCounter(), 2);
  const [first, second] = [upload(), upload()];
  claim(first);
  claim(second);
  expect(() => claim(upload())).toThrow(expect.objectContaining({ code: 'rate_limited' }));
  claim(upload('192.0.2.2'));
  first.stream.push(null);
  first.stream.resume();
  await once(first.stream, 'end');
  claim(upload());
  second.stream.destroy();
  await once(second.stream, 'close');
  claim(upload());
  expect(() => claim(upload())).toThrow(expect.objectContaining({ code: 'rate_limited' }));
});

test('a disconnected client takes no slot', async () => {
  const claim = createClaimUpload(new ConcurrencyCounter(), 1);
  const gone = upload();
  gone.stream.destroy();
  await once(gone.stream, 'close');
  claim(gone);
  claim(upload());
});
