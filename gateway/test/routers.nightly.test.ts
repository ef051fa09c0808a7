import { describe, expect, test } from '@jest/globals';
import { compare, startNext, startTomcat, tomcatJars } from './routers/compare.ts';
import { expectDocumented } from './routers/documented.ts';

describe('no request crosses to another route of', () => {
  test.each([['Next.js', startNext], ...(tomcatJars.length === 0 ? [] : [['Tomcat', startTomcat] as const])] as const)(
    '%s',
    async (name, start) => {
      const comparison = await compare(await start());
      expect(comparison.crossed).toEqual([]);
      expectDocumented(name, comparison);
    },
  );
});
