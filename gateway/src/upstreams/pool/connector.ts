import { createHash } from 'node:crypto';
import { Socket } from 'node:net';
import type { Logger } from '@countersign/service-kit';
import { buildConnector } from 'undici';
import type { UpstreamTls } from '../../config/config.ts';
import { readTlsFiles, type TlsMaterial } from '../../config/tls-files.ts';
import { createReloader, type Reloader } from '../../keys/reloader.ts';
import { ignoreContinue } from './ignore-continue.ts';

/** Opens connections to an upstream's targets: for requests, upgrades and health checks. */
export type Connect = (
  options: buildConnector.Options,
  callback: buildConnector.Callback,
) => /** Still connecting. */ Socket;

/**
 * @param connectMs For TCP and TLS together.
 * @param tls A connection uses the files as they are when it opens; changed files do not resume old sessions.
 *   Certificates are always checked; no option turns that off.
 */
export function createConnect(connectMs: number, tls: TlsFiles | undefined): Connect {
  let material: TlsMaterial | undefined;
  let connector = build(undefined);

  function build(files: TlsMaterial | undefined): buildConnector.connector {
    return buildConnector({ ...files, timeout: connectMs, allowH2: false });
  }

  return (options, callback) => {
    const current = tls?.current();
    if (current !== material) {
      material = current;
      connector = build(material);
    }
    const socket: unknown = connector(options, callback);
    // The declared type of the connector is too wide.
    if (!(socket instanceof Socket)) throw new Error('the connector made no socket');
    return socket;
  };
}

/** Wraps `connect` for undici, which sends requests on these sockets. */
export function forUndici(connect: Connect): Connect {
  return (options, callback) => {
    const socket = connect(options, callback);
    socket.on('error', markResets);
    socket.on('error', keepFirstCode());
    ignoreContinue(socket);
    return socket;
  };
}

/**
 * Renames the code of a reset. undici takes a response that ends with its connection as complete, even after
 * ECONNRESET, but such a response is incomplete (RFC 9112 section 8). Under another code undici treats it as an error.
 */
function markResets(error: NodeJS.ErrnoException): void {
  if (error.code === 'ECONNRESET') error.code = 'ERR_UPSTREAM_RESET';
}

/**
 * Keeps the code of the first error. In TLS 1.3 a service refuses our certificate after the handshake. Its alert comes
 * first, then undici destroys the socket with "other side closed" and would report that.
 */
function keepFirstCode(): (error: NodeJS.ErrnoException) => void {
  let first: NodeJS.ErrnoException | undefined;
  return (error) => {
    first ??= error;
    if (first.code !== undefined) error.code = first.code;
  };
}

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
