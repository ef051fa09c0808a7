import { proxySecretHeader } from './plan.ts';
import { type Abilities, type ProxyName, proxies } from './support.ts';

/** How one proxy describes the original request. The gateway guesses nothing: it refuses a call in any other form. */
export type Dialect = Pick<Abilities, 'showsBody'> &
  Readonly<{
    /**
     * Headers that the proxy writes, exactly one each. If undefined, the call's own request line or `Host` is used.
     */
    method: string | undefined;
    requestTarget: string | undefined;
    host: string;
    scheme: string;
    /** The header with the client's address. In a list, the last address counts, because the proxy itself added it. */
    address: string;
    /** The headers that carry the original `Content-Length` and `Transfer-Encoding` if the body is not sent. */
    framing: Readonly<{ length: string; coding: string }> | undefined;
    /**
     * The response header that names the headers to remove. Other proxies remove the headers that a response lacks.
     */
    removal: string | undefined;
    /** Whether the proxy passes on only 401 and 403, so that a header must carry the original status. */
    hidesStatus: boolean;
  }>;

const requestHeaders = {
  method: 'x-countersign-method',
  requestTarget: 'x-countersign-target',
  scheme: 'x-countersign-scheme',
  address: 'x-countersign-address',
};
const framing = { length: 'x-countersign-content-length', coding: 'x-countersign-transfer-encoding' };

/** The headers between the proxy and the gateway. Services never see them. */
export const headersOfCall: readonly string[] = [
  proxySecretHeader,
  ...Object.values(requestHeaders),
  ...Object.values(framing),
  'x-countersign-upgrade',
];

const ownNames = { ...requestHeaders, host: 'host', framing, removal: undefined, hidesStatus: false };

const forwardedNames = {
  method: 'x-forwarded-method',
  requestTarget: 'x-forwarded-uri',
  host: 'x-forwarded-host',
  scheme: 'x-forwarded-proto',
  address: 'x-forwarded-for',
  framing: undefined,
  removal: undefined,
  hidesStatus: false,
};

export const dialects: Readonly<Record<ProxyName, Dialect>> = {
  nginx: { ...proxies.nginx, ...ownNames, hidesStatus: true },
  haproxy: { ...proxies.haproxy, ...ownNames, framing: undefined },
  caddy: { ...proxies.caddy, ...forwardedNames },
  traefik: { ...proxies.traefik, ...forwardedNames },
  envoy: {
    ...proxies.envoy,
    ...forwardedNames,
    // Envoy repeats the request line, with `path_prefix` at the start.
    method: undefined,
    requestTarget: undefined,
    host: 'host',
    removal: 'x-envoy-auth-headers-to-remove',
  },
};
