import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import helmet from 'helmet';

/** What helmet sets on the gateway's own answers, taken once: parser errors have a socket to be answered on, but no response. */
export const securityHeaders: Readonly<Record<string, string>> = (() => {
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  helmet({ contentSecurityPolicy: { directives: { 'default-src': ["'none'"] }, useDefaults: false } })(
    response.req,
    response,
    () => {},
  );
  return Object.fromEntries(Object.entries(response.getHeaders()).map(([name, value]) => [name, String(value)]));
})();

/** Those that fit any answer, for services that do not set them. Names and values in turn. */
export const defaultSecurityHeaders: readonly string[] = [
  'strict-transport-security',
  'x-content-type-options',
  'x-frame-options',
  'referrer-policy',
].flatMap((name) => [name, securityHeaders[name] ?? '']);
