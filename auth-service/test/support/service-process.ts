import { databaseOf, openDatabase } from '@countersign/database';
import { createLogger, runProcess } from '@countersign/process-kit';
import { readAuthConfig } from '../../src/config.ts';
import { startOn } from '../../src/service.ts';
import type { AuthSchema } from '../../src/store/schema.ts';
import { probedDatabase } from './probed-database.ts';

// The service as a process that a test can kill, on a database that the test can inspect.
await runProcess('auth-service', async () => {
  const config = readAuthConfig(process.env);
  const database = databaseOf('auth', config.AUTH_DATABASE_URL, config);
  const db = await openDatabase<AuthSchema>({ ...probedDatabase, ...database });
  const service = await startOn(config, { db, logger: createLogger('auth-service', 'info') });
  return service;
});
