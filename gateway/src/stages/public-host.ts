import { AppError } from '../errors.ts';

const hostGrammar = /^(?:[a-z0-9](?:[a-z0-9.-]{0,253})|\[[0-9a-f:.]{2,45}\])(?::(\d{1,5}))?$/;

/**
 * @param publicOrigins Origins that clients may name; empty: any well-formed host is taken.
 * @returns A check that gives back the host in lower case, and throws AppError `invalid_host` or `misdirected_request`.
 */
export function createHostCheck(publicOrigins: readonly string[]): (host: string | undefined) => string {
  const served = new Set(publicOrigins.flatMap(hostsOf));
  return (host) => {
    const lower = host?.toLowerCase() ?? '';
    // What is served is well-formed, so the usual request is looked up once and that is all.
    if (served.has(lower)) return lower;
    const port = hostGrammar.exec(lower);
    if (port === null || Number(port[1] ?? 0) > 65_535) throw new AppError('invalid_host');
    if (served.size > 0) throw new AppError('misdirected_request');
    return lower;
  };
}

/** An origin on its default port may be named with the port or without. @param origin As `URL` writes it. */
export function hostsOf(origin: string): readonly string[] {
  const { host, port, protocol } = new URL(origin);
  return port === '' ? [host, `${host}:${protocol === 'https:' ? 443 : 80}`] : [host];
}
