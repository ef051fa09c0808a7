import { eventually } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { Renderings } from './renderings.ts';

const rendered = (text: string) => ({ status: 200, type: 'text/plain', body: Buffer.from(text) });
const busy = expect.objectContaining({ code: 'console_busy' });

test('renders one at a time in order, and refuses those beyond sixteen waiting', async () => {
  const renderings = new Renderings();
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
  const order: string[] = [];
  const render = (name: string) =>
    renderings.inTurn(async () => {
      order.push(`${name} begins`);
      await mayEnd;
      order.push(`${name} ends`);
      return rendered(name);
    });
  const first = render('0');
  await eventually(() => expect(order).toEqual(['0 begins']));
  const waiting = Array.from({ length: 16 }, (_, at) => render(String(at + 1)));
  await expect(render('17')).rejects.toEqual(busy);
  end();
  const names = Array.from({ length: 17 }, (_, at) => String(at));
  expect((await Promise.all([first, ...waiting])).map(({ body }) => body.toString())).toEqual(names);
  expect(order).toEqual(names.flatMap((name) => [`${name} begins`, `${name} ends`]));
  expect((await render('again')).body.toString()).toBe('again');
});

test('renders once a second for all readers of a URL, and separately for another URL', async () => {
  const renderings = new Renderings();
  let count = 0;
  const read = async (url: string) => {
    const { body } = await renderings.kept(url, async () => {
      count += 1;
      return rendered(`${url} ${count}`);
    });
    return body.toString();
  };
  const all = await Promise.all(['/a', '/a', '/b', '/a', '/b'].map(read));
  expect(all).toEqual(['/a 1', '/a 1', '/b 2', '/a 1', '/b 2']);
  expect(await read('/a')).toBe('/a 1');
  await eventually(async () => expect(await read('/a')).toBe('/a 3'));
});

test('keeps no failure, and goes on after it', async () => {
  const renderings = new Renderings();
  const fail = () => renderings.kept('/a', () => Promise.reject(new Error('broken')));
  await expect(fail()).rejects.toThrow('broken');
  expect((await renderings.kept('/a', async () => rendered('mended'))).body.toString()).toBe('mended');
});
