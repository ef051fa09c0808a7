import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openDatabase } from '../../packages/database/src/index.ts';
import { createDataDirs, missingDataDirs } from './data-dirs.ts';

const repository = resolve(import.meta.dirname, '../..');

describe('the databases created at the first start', () => {
  let home: string;
  const at = (name: string) => join(home, 'data', name);
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'countersign-data-'));
  });
  afterEach(() => rmSync(home, { recursive: true }));

  test('databases are in the directories that services would initialize', () => {
    expect(missingDataDirs(home, {})).toEqual([at('auth'), at('users'), at('complaints')]);
    expect(missingDataDirs(home, { USERS_DATABASE_URL: 'postgres://server/users' })).not.toContain(at('users'));
    expect(missingDataDirs(home, { DATABASE_URL: 'postgres://server/' })).toEqual([]);
    mkdirSync(at('auth'), { recursive: true });
    expect(missingDataDirs(home, {})).toEqual([at('users'), at('complaints')]);
  });

  test('databases open like those that a service initializes, without leftover files', async () => {
    await createDataDirs([at('users'), at('complaints')], repository);
    expect(readdirSync(join(home, 'data')).sort()).toEqual(['complaints', 'users']);
    for (const name of ['users', 'complaints']) {
      const options = { location: { dataDir: at(name) }, name, login: `${name}_login`, roles: [], migrations: [] };
      const db = await openDatabase(options);
      await db.close();
    }
  });

  test('databases that cannot be created are left to the services', async () => {
    const underFile = join(resolve(import.meta.filename), 'data');
    await createDataDirs([join(underFile, 'users'), join(underFile, 'auth')], repository);
    await createDataDirs([at('users')], repository);
    expect(existsSync(at('users'))).toBe(false);
  });
});
