import { assertionType, claimedClientId } from './client-assertion.ts';

/** Token request parameters that authenticate the OAuth client. */
export type CredentialParameters = Readonly<{
  client_id?: string | undefined;
  client_secret?: string | undefined;
  client_assertion?: string | undefined;
  client_assertion_type?: string | undefined;
}>;

export type ClientCredentials = Readonly<{ clientId: string }> &
  (
    | Readonly<{ method: 'client_secret_basic' | 'client_secret_post'; secret: string }>
    | Readonly<{ method: 'private_key_jwt'; assertion: string }>
  );

/** Why credentials were refused: an error code from RFC 6749 section 5.2, and its description. */
export type CredentialRefusal = Readonly<{ error: 'invalid_client' | 'invalid_request'; reason: string }>;

/**
 * Reads the credentials of an OAuth client. A request may use only one method (RFC 6749 section 2.3): two could name
 * different OAuth clients.
 */
export function readClientCredentials(
  authorization: string | undefined,
  form: CredentialParameters,
): ClientCredentials | CredentialRefusal {
  const { client_secret: secret, client_assertion: assertion, client_assertion_type: type } = form;
  const withAssertion = assertion !== undefined || type !== undefined;
  const methods = [authorization !== undefined, secret !== undefined, withAssertion].filter(Boolean).length;
  if (methods > 1) return invalid('Use only one method to authenticate the OAuth client.');
  const read =
    authorization !== undefined
      ? readBasic(authorization)
      : withAssertion
        ? readAssertion(assertion, type)
        : readPost(form);
  if ('error' in read) return read;
  if (form.client_id !== undefined && form.client_id !== read.clientId)
    return invalid('client_id does not match the credentials.');
  return read;
}

// RFC 7617 section 2. The scheme name is case-insensitive.
const basic = /^Basic +([A-Za-z0-9+/]+={0,2})$/i;

function readBasic(authorization: string): ClientCredentials | CredentialRefusal {
  const [, encoded] = basic.exec(authorization) ?? [];
  const pair = encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  const clientId = decodeForm(pair.slice(0, Math.max(0, colon)));
  const secret = decodeForm(pair.slice(colon + 1));
  if (colon < 1 || clientId === undefined || secret === undefined)
    return {
      error: 'invalid_client',
      reason: 'Authorization must be HTTP Basic with a client id and a client secret.',
    };
  return { method: 'client_secret_basic', clientId, secret };
}

/** Both halves are form-encoded before they are joined (RFC 6749 section 2.3.1). */
function decodeForm(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

function readAssertion(assertion: string | undefined, type: string | undefined): ClientCredentials | CredentialRefusal {
  if (assertion === undefined || type !== assertionType)
    return invalid(`client_assertion requires client_assertion_type=${assertionType}, and vice versa.`);
  const clientId = claimedClientId(assertion);
  if (clientId === undefined)
    return { error: 'invalid_client', reason: 'client_assertion must be a JWT with the client id in sub.' };
  return { method: 'private_key_jwt', clientId, assertion };
}

function readPost({
  client_id: clientId,
  client_secret: secret,
}: CredentialParameters): ClientCredentials | CredentialRefusal {
  if (secret === undefined) return { error: 'invalid_client', reason: 'The request has no OAuth client credentials.' };
  if (clientId === undefined) return invalid('client_secret requires client_id.');
  return { method: 'client_secret_post', clientId, secret };
}

const invalid = (reason: string): CredentialRefusal => ({ error: 'invalid_request', reason });
