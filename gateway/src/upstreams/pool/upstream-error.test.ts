import { describe, expect, test } from '@jest/globals';
import { errors } from 'undici';
import { AppError, type Code } from '../../errors.ts';
import { toUpstreamError } from './upstream-error.ts';

const coded = (code: string) => Object.assign(new Error(code), { code });

describe('the code of a failed attempt', () => {
  test.each<[unknown, 'connected' | 'not connected', Code]>([
    [coded('ECONNREFUSED'), 'not connected', 'upstream_unreachable'],
    [coded('ENOTFOUND'), 'not connected', 'upstream_unreachable'],
    [coded('ECONNRESET'), 'not connected', 'upstream_unreachable'],
    [coded('EACCES'), 'not connected', 'upstream_unreachable'],
    [new AggregateError([coded('ECONNREFUSED'), coded('ENETUNREACH')]), 'not connected', 'upstream_unreachable'],
    [new errors.ConnectTimeoutError(), 'not connected', 'upstream_timeout'],
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
    [new errors.SocketError('other side closed'), 'connected', 'upstream_broken'],
    [coded('ERR_UPSTREAM_RESET'), 'connected', 'upstream_broken'],
    [coded('EPIPE'), 'connected', 'upstream_broken'],
    [new errors.HeadersTimeoutError(), 'connected', 'upstream_timeout'],
    [new errors.BodyTimeoutError(), 'connected', 'upstream_timeout'],
    [new errors.HeadersOverflowError(), 'connected', 'upstream_invalid_response'],
    [new errors.HTTPParserError('no'), 'connected', 'upstream_invalid_response'],
    [coded('HPE_INVALID_HEADER_TOKEN'), 'connected', 'upstream_invalid_response'],
    [new AppError('identity_refused'), 'connected', 'identity_refused'],
    // A bug of ours must not look like a fault of the service.
    [new TypeError('of ours'), 'connected', 'internal_error'],
    [new errors.InvalidArgumentError('of ours'), 'not connected', 'internal_error'],
    [new errors.ClientDestroyedError(), 'not connected', 'internal_error'],
    [coded('ERR_INVALID_CHAR'), 'not connected', 'internal_error'],
    [coded('ERR_SOMETHING_ELSE'), 'connected', 'internal_error'],
  ])('%p, %s: %s', (error, connected, code) => {
    const isConnected = connected === 'connected';
    expect(toUpstreamError(error, { upstream: 'a', target: 'http://b.test', isConnected }).code).toBe(code);
  });
});
