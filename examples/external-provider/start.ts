import { startExample } from './start-example.ts';

// Starts the provider, the service and the gateway. Press Ctrl-C to stop.

await startExample({ directory: import.meta.dirname, next: 'log-in.ts' });
