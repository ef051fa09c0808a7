import { createHash } from 'node:crypto';
import type { Logger } from '@countersign/service-kit';
import type { UpstreamTls } from '../../config/config.ts';
import { readTlsFiles, type TlsMaterial } from '../../config/tls-files.ts';
import { createReloader, type Reloader } from '../../keys/reloader.ts';

export type TlsFiles = Reloader<TlsMaterial>;

/**
 * Reads an upstream's PEM files now and every 5 s. Bad files never replace good ones.
 *
 * @throws StartupError if they are bad at first. Its message holds no content of a file.
 */
export function openTlsFiles(name: string, tls: UpstreamTls, logger: Logger): TlsFiles {
  return createReloader({
    what: `TLS files of upstream ${name}`,
    load: () => readTlsFiles(tls),
    fingerprint: ({ ca, cert, key }) =>
      createHash('sha256')
        .update(JSON.stringify([ca, cert, key]))
        .digest('base64'),
    logger,
  });
}
