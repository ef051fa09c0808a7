import { Socket } from 'node:net';
import { buildConnector } from 'undici';
import type { TlsMaterial } from '../../config/tls-files.ts';
import { ignoreContinue } from './ignore-continue.ts';
import type { TlsFiles } from './tls-files.ts';

/** Opens connections to one upstream's targets: for requests, upgrades and health checks alike. */
export type Connect = (
  options: buildConnector.Options,
  callback: buildConnector.Callback,
) => /** Still connecting. */ Socket;

/**
 * @param connectMs For TCP and TLS together.
 * @param tls What is in its files when a connection is made counts for that connection; sessions made with other files are not
 *   resumed. Certificates are always checked: there is no option that would turn that off.
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
    // Its declared type does not say what it gives back.
    if (!(socket instanceof Socket)) throw new Error('the connector made no socket');
    return socket;
  };
}

/** The same, for undici to send requests on. */
export function forRequests(connect: Connect): Connect {
  return (options, callback) => {
    const socket = connect(options, callback);
    socket.on('error', tellResets);
    socket.on('error', tellFirst());
    ignoreContinue(socket);
    return socket;
  };
}

/**
 * undici takes an answer that ends with its connection for whole also when that was reset. A reset is an error of the connection, and such
 * an answer is then incomplete (RFC 9112 section 8); under another code undici sees it the same way.
 */
function tellResets(error: NodeJS.ErrnoException): void {
  if (error.code === 'ECONNRESET') error.code = 'ERR_UPSTREAM_RESET';
}

/**
 * What went wrong first is why. In TLS 1.3 a service refuses our certificate after the handshake: its alert is an error, the end behind it
 * makes undici destroy the socket with another, "other side closed", and that is what it would tell.
 */
function tellFirst(): (error: NodeJS.ErrnoException) => void {
  let first: NodeJS.ErrnoException | undefined;
  return (error) => {
    first ??= error;
    if (first.code !== undefined) error.code = first.code;
  };
}
