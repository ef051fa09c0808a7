import { expect, test } from '@jest/globals';
import { exampleConfig } from '../../test/kit/example-config.ts';
import { type BodyLimits, BodyMemory, bodyLimits, HeldBody } from './body-memory.ts';

const limits: BodyLimits = { bytes: 100, bytesPerAddress: 60 };
const codeOf = (how: () => void): string | undefined => {
  try {
    how();
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test('limits the bytes per address and in total', () => {
  const memory = new BodyMemory();
  const hold = (address: string) => new HeldBody(memory, limits, address);
  const [one, two, other] = [hold('a'), hold('a'), hold('b')];
  one.grow(40);
  two.grow(20);
  expect(codeOf(() => two.grow(1))).toBe('rate_limited');
  other.grow(40);
  expect(codeOf(() => other.grow(1))).toBe('body_memory_full');
  expect(memory.bytes).toBe(100);
  one.release();
  one.release();
  expect(memory.bytes).toBe(60);
  two.grow(40);
  expect(codeOf(() => other.grow(1))).toBe('body_memory_full');
  two.release();
  other.release();
  expect(memory.bytes).toBe(0);
  hold('a').grow(60);
  expect(memory.bytes).toBe(60);
});

test('counts nothing for a body whose response has ended', () => {
  const memory = new BodyMemory();
  const held = new HeldBody(memory, limits, 'a');
  held.grow(10);
  held.release();
  held.grow(10);
  expect(memory.bytes).toBe(0);
});

const MiB = 1024 * 1024;
test.each<[yaml: string, memoryMiB: number, expected: BodyLimits]>([
  ['', 256, { bytes: 32 * MiB, bytesPerAddress: 8 * MiB }],
  ['', 4096, { bytes: 512 * MiB, bytesPerAddress: 128 * MiB }],
  ['uploads: { maxBuffered: 16MiB }\n', 4096, { bytes: 16 * MiB, bytesPerAddress: 4 * MiB }],
  ['uploads: { maxBufferedPerAddress: 3MiB }\n', 256, { bytes: 32 * MiB, bytesPerAddress: 3 * MiB }],
  // The example's route accepts bodies of up to 1 MiB.
  ['', 4, { bytes: MiB, bytesPerAddress: MiB }],
])('%j with %i MiB of memory', (yaml, memoryMiB, expected) => {
  const route = '{ name: me, path: /v1/users/me, methods: [POST], upstream: users-service, auth: required }';
  const config = exampleConfig(`${yaml}routes:\n  - ${route}\n`);
  expect(bodyLimits(config, memoryMiB * MiB)).toEqual(expected);
});
