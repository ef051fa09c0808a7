import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { copyDatabase, openDatabase } from '@countersign/database';
import { absolute, runCommand } from './command.ts';
import { databaseNames, databases } from './place.ts';

// `npm run move-to-server`: copies the services' data from PGlite under COUNTERSIGN_HOME to the server in DATABASE_URL.
// Does not change PGlite. No service can run meanwhile.

/** For each database, a table that stays empty until the service is used. */
const filled = { auth: 'tenants', users: 'members', complaints: 'complaints' };

/** @returns The number of copied tables. */
async function move(name: (typeof databaseNames)[number], home: string, serverUrl: string): Promise<number> {
  const { DATABASE_PREFIX: prefix = 'countersign' } = process.env;
  const options = { ...databases[name], name: `${prefix}_${name}` };
  const from = await openDatabase<unknown>({ ...options, location: { dataDir: join(home, 'data', name) } });
  try {
    const to = await openDatabase<unknown>({ ...options, location: { serverUrl } });
    try {
      return await copyDatabase(from, { to, owner: options.login, filled: filled[name] });
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

await runCommand('move-to-server', async () => {
  const { DATABASE_URL: serverUrl, COUNTERSIGN_HOME = '.countersign' } = process.env;
  const home = absolute(COUNTERSIGN_HOME);
  if (!serverUrl) throw new Error('set DATABASE_URL to the server, and COUNTERSIGN_HOME to where PGlite is');
  for (const name of databaseNames.filter((one) => existsSync(join(home, 'data', one)))) {
    const tables = await move(name, home, serverUrl);
    process.stdout.write(`${name}: copied and compared ${tables} tables\n`);
  }
  process.stdout.write('Start the services with this DATABASE_URL. Attachments and keys stay in COUNTERSIGN_HOME.\n');
});
