import { runProcess } from '@countersign/process-kit';
import { readComplaintsConfig } from './config.ts';
import { start } from './service.ts';

await runProcess('complaint-service', async () => start(readComplaintsConfig(process.env)));
