import { expect, test } from '@jest/globals';
import { faultsIn, reportOn } from './run-against.ts';

// At once, because each run waits for signatures to expire.
const ours = reportOn({ isOld: false }, true);
const replaying = faultsIn('nonces are not remembered');

test('finds no fault in our verifier, and knows every refusal', async () => {
  const { results, leftOut } = await ours;
  const others = results.filter(({ judgement }) => judgement.kind !== 'right');
  // Node's own parser knows no method with this name.
  expect(others).toMatchObject([{ name: 'user, a method of 20 and 20 letters', judgement: { kind: 'note' } }]);
  expect(results.length).toBeGreaterThan(1_650);
  expect(leftOut.get('the service has no secret')).toBeGreaterThan(10);
});

test('finds a planted fault, and names the section about it', async () => {
  const found = await replaying;
  expect(found).toContainEqual({
    name: '20 copies of one request at once',
    judgement: { kind: 'fault', message: 'was accepted 20 times, but must be accepted once', section: 7 },
  });
  expect(found).toContainEqual(expect.objectContaining({ name: 'replayed: the second delivery' }));
});
