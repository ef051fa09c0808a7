import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '@countersign/testing';
import { type RunningServer, startServer } from '../machine/processes.ts';
import { benchPath } from '../site/gateway.ts';
import { expectOk, type Site } from '../site/site.ts';

/** The address that `countersign integrate` prints. Each nginx replaces it with its own. */
export const printedAddress = '127.0.0.1:8000';

/** @returns nginx's version. Undefined if it is not installed. */
export function nginxVersion(): string | undefined {
  try {
    // `nginx -v` prints to standard error.
    const shown = execFileSync('sh', ['-c', 'nginx -v 2>&1'], { encoding: 'utf8' });
    return /nginx\/(\S+)/.exec(shown)?.[1];
  } catch {
    return undefined;
  }
}

/** An nginx that forwards each request unchanged, with the settings of the generated file that affect performance. */
export const plainNginx = ({ upstreamOrigin }: Site): string => `error_log stderr warn;
pid nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path client-body;
  proxy_temp_path proxied;
  proxy_http_version 1.1;
  proxy_buffer_size 16k;
  proxy_buffers 8 16k;
  upstream service { server ${new URL(upstreamOrigin).host}; keepalive 128; }
  server {
    listen ${printedAddress};
    location / {
      proxy_pass http://service;
      proxy_set_header Connection "";
    }
  }
}
`;

/**
 * Runs nginx with these files, of which `nginx.conf` is the main one. nginx runs as a single process, because a
 * worker would outlive a killed master.
 */
export async function startNginx(
  site: Site,
  files: Readonly<Record<string, string>>,
  cores: string | undefined,
): Promise<RunningServer & Readonly<{ origin: string }>> {
  const [port = 0] = await freePorts(1);
  const directory = mkdtempSync(join(site.directory, 'nginx-'));
  mkdirSync(join(directory, 'client-body'));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(directory, name), text.replaceAll(printedAddress, `127.0.0.1:${port}`), { mode: 0o600 });
  }
  const origin = `http://127.0.0.1:${port}`;
  const server = await startServer({
    command: 'nginx',
    args: ['-p', directory, '-c', 'nginx.conf', '-g', 'daemon off; master_process off;'],
    cores,
    ready: () => expectOk(origin + benchPath, site.tokens[0]),
  });
  return { ...server, origin };
}
