import { runProcess } from '@countersign/process-kit';
import { readUsersConfig } from './config.ts';
import { start } from './service.ts';

await runProcess('users-service', async () => start(readUsersConfig(process.env)));
