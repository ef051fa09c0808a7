import { databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type AccountsWorld, accountsWorld, freshEmail } from './support/accounts-world.ts';
import { probing } from './support/probed-database.ts';

describe.each(databases())('response times on %s', (_, database) => {
  let world: AccountsWorld;
  beforeAll(async () => {
    world = await accountsWorld(database);
  });
  afterAll(() => world.close());

  // The work that differs between the two cases happens after the response.
  test.each(['/v1/auth/password/forgot', '/v1/auth/register', '/v1/auth/email/resend', '/v1/auth/login'])(
    '%s responds as fast for a known address as for an unknown one',
    async (path) => {
      const who = await world.account('agent');
      const timed = async (email: string) => {
        // Otherwise the known address would soon reach its email limit.
        await probing(world.store.db, (trx) => trx.deleteFrom('login_attempts').execute());
        const startedAt = performance.now();
        await world.post(path, path.endsWith('/login') ? { email, password: 'not the password' } : { email });
        return performance.now() - startedAt;
      };
      const known: number[] = [];
      const unknown: number[] = [];
      for (let count = 0; count < 40; count += 1) {
        known.push(await timed(who.email));
        unknown.push(await timed(freshEmail()));
      }
      const median = (times: number[]) => times.sort((a, b) => a - b)[times.length / 2] ?? 0;
      const ratio = median(known) / median(unknown);
      expect(ratio).toBeGreaterThan(0.5);
      expect(ratio).toBeLessThan(2);
    },
  );
});
