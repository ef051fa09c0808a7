import { once } from 'node:events';
import { createServer } from 'node:net';
import { StartupError } from '@countersign/service-kit';
import type { Ports } from './settings.ts';

/**
 * Checks every port before any process starts.
 *
 * @throws StartupError naming each taken port and the variable that moves it.
 */
export async function requireFreePorts(ports: Ports): Promise<void> {
  const taken: string[] = [];
  for (const [variable, port] of Object.entries(ports)) {
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
      server.close();
      await once(server, 'close');
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      const reason = code === 'EADDRINUSE' ? 'is already in use' : `cannot be opened (${code})`;
      taken.push(`port ${port} ${reason}; set ${variable} to another one`);
    }
  }
  if (taken.length > 0) throw new StartupError(taken.join('\n'));
}
