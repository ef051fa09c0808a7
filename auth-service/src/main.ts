import { runProcess } from '@countersign/process-kit';
import { readAuthConfig } from './config.ts';
import { start } from './service.ts';

await runProcess('auth-service', () => start(readAuthConfig(process.env)));
