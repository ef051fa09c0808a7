import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import helmet from 'helmet';

/** The headers that helmet sets, computed once: parser errors are written to a socket, where helmet cannot run. */
export const securityHeaders: Readonly<Record<string, string>> = (() => {
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  helmet({ contentSecurityPolicy: { directives: { 'default-src': ["'none'"] }, useDefaults: false } })(
    response.req,
    response,
    () => {},
  );
  return Object.fromEntries(Object.entries(response.getHeaders()).map(([name, value]) => [name, String(value)]));
})();

/** Headers that fit any response, for services that do not set them. Alternating names and values. */
export const defaultSecurityHeaders: readonly string[] = [
  'strict-transport-security',
  'x-content-type-options',
  'x-frame-options',
  'referrer-policy',
].flatMap((name) => [name, securityHeaders[name] ?? '']);
