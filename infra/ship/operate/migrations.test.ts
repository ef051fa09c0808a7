import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { databaseNames, databases } from './place.ts';

/**
 * The migrations of the first deployable state, which docs/versions.md names, and of later releases: append to this
 * list, never change it. Databases have run these statements.
 */
const released = {
  auth: { '0001-schema': 'a39af6e90e8090e29c58856f5092df255664a306a1d9b5055c95efa6de44a080' },
  users: { '0001-schema': 'a70540286ebe978dbc5756db0605de69137aba0a60e002c8b3d3d1abd45f4b72' },
  complaints: { '0001-schema': 'd87a6a08634c3f1580443bcc6d06da9fa8160a04abf18f7cb743356fa8338860' },
};

test.each(databaseNames)('released migrations of the %s database never change, and new ones follow them', (name) => {
  const present = databases[name].migrations.map((migration) => [
    migration.name,
    createHash('sha256').update(JSON.stringify(migration.statements)).digest('hex'),
  ]);
  const first = Object.entries(released[name]);
  expect(present.slice(0, first.length)).toEqual(first);
  const names = present.map(([migration]) => migration);
  expect(names).toEqual(names.toSorted());
});
