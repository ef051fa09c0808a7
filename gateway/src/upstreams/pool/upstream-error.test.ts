import { describe, expect, test } from '@jest/globals';
import { AppError, type Code } from '../../errors.ts';
import { toUpstreamError } from './upstream-error.ts';

const coded = (code: string) => Object.assign(new Error(code), { code });

describe('the error code of a failed attempt', () => {
  test.each<[unknown, 'connected' | 'not connected', Code]>([
    [coded('ECONNREFUSED'), 'not connected', 'upstream_unreachable'],
    [coded('ENOTFOUND'), 'not connected', 'upstream_unreachable'],
    [coded('ECONNRESET'), 'not connected', 'upstream_unreachable'],
    [coded('EACCES'), 'not connected', 'upstream_unreachable'],
    [new AggregateError([coded('ECONNREFUSED'), coded('ENETUNREACH')]), 'not connected', 'upstream_unreachable'],
    [coded('UPSTREAM_CONNECT_TIMEOUT'), 'not connected', 'upstream_timeout'],
    [coded('ETIMEDOUT'), 'not connected', 'upstream_timeout'],
    [coded('CERT_HAS_EXPIRED'), 'not connected', 'upstream_untrusted'],
    [coded('CERT_NOT_YET_VALID'), 'not connected', 'upstream_untrusted'],
    [coded('DEPTH_ZERO_SELF_SIGNED_CERT'), 'not connected', 'upstream_untrusted'],
    [coded('SELF_SIGNED_CERT_IN_CHAIN'), 'not connected', 'upstream_untrusted'],
    [coded('UNABLE_TO_GET_ISSUER_CERT_LOCALLY'), 'not connected', 'upstream_untrusted'],
    [coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), 'not connected', 'upstream_untrusted'],
    [coded('INVALID_CA'), 'not connected', 'upstream_untrusted'],
    [coded('ERR_TLS_CERT_ALTNAME_INVALID'), 'not connected', 'upstream_untrusted'],
    [coded('ERR_SSL_WRONG_VERSION_NUMBER'), 'not connected', 'upstream_untrusted'],
    [coded('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'), 'connected', 'upstream_untrusted'],
    [coded('UPSTREAM_CLOSED'), 'connected', 'upstream_broken'],
    [coded('ECONNRESET'), 'connected', 'upstream_broken'],
    [coded('EPIPE'), 'connected', 'upstream_broken'],
    [coded('UPSTREAM_HEAD_TIMEOUT'), 'connected', 'upstream_timeout'],
    [coded('UPSTREAM_BODY_TIMEOUT'), 'connected', 'upstream_timeout'],
    [coded('UPSTREAM_RESPONSE_TOO_LARGE'), 'connected', 'upstream_invalid_response'],
    [coded('UPSTREAM_INVALID_RESPONSE'), 'connected', 'upstream_invalid_response'],
    [coded('UND_ERR_SOCKET'), 'connected', 'upstream_broken'],
    [coded('UND_ERR_HEADERS_TIMEOUT'), 'connected', 'upstream_timeout'],
    [coded('UND_ERR_DESTROYED'), 'not connected', 'internal_error'],
    [Object.assign(new Error('a'), { name: 'HTTPParserError' }), 'connected', 'upstream_invalid_response'],
    [coded('HPE_INVALID_HEADER_TOKEN'), 'connected', 'upstream_invalid_response'],
    [new AppError('identity_refused'), 'connected', 'identity_refused'],
    // A bug of ours must not look like the service's fault.
    [new TypeError('of ours'), 'connected', 'internal_error'],
    [coded('UPSTREAM_INVALID_REQUEST'), 'not connected', 'internal_error'],
    [coded('UPSTREAM_POOL_CLOSED'), 'not connected', 'internal_error'],
    [coded('ERR_INVALID_CHAR'), 'not connected', 'internal_error'],
    [coded('ERR_SOMETHING_ELSE'), 'connected', 'internal_error'],
  ])('%p, %s: %s', (error, connected, code) => {
    const isConnected = connected === 'connected';
    expect(toUpstreamError(error, { upstream: 'a', target: 'http://b.test', isConnected }).code).toBe(code);
  });
});
