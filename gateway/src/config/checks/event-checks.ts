import { eventPresetOf, type WebhookFormat } from '@countersign/signals';
import { presetOf } from '../presets.ts';
import type { IssuerPieces } from '../schema/issuers/issuers.ts';
import type { Refuse } from './cross-checks.ts';

export function checkEvents(issuer: IssuerPieces, refuse: Refuse): void {
  const { name, provider, template, claims, revocations, events } = issuer;
  if (events === undefined) return;
  const { audience, backchannelLogout, sharedSignals: signals, webhook, revoke } = events;
  if (name === undefined) {
    const message = '"name" is required with events: it is part of the URL that the provider calls';
    refuse([], message, { absent: 'name' });
  }
  if (revocations !== undefined) {
    const message = 'cannot be combined with revocations: an issuer may have only one source';
    refuse(['events'], message, { other: ['revocations'] });
  }
  const hasTokens = backchannelLogout === true || signals !== undefined;
  if (!hasTokens && webhook === undefined && revoke === undefined)
    refuse(['events'], 'receives nothing: set backchannelLogout: true, sharedSignals, webhook or revoke');
  if (webhook !== undefined)
    checkWebhook(webhook.format, (path, ...rest) => refuse(['events', 'webhook', ...path], ...rest));
  if (hasTokens && audience === undefined) {
    const message =
      '"audience" is required with backchannelLogout and sharedSignals: what `aud` of their tokens contains';
    refuse(['events'], message, { absent: 'audience' });
  }
  const userId = claims?.userId ?? presetOf(provider).claims.userId;
  const subject = events.subject ?? eventPresetOf(provider).subject;
  if (userId.length !== 1 || userId[0] !== subject) {
    const wanted = `must be "${subject}", because events name users by it`;
    refuse(['claims', 'userId'], `${wanted}; or set events.subject`);
  }
  const [values] = Object.values(template ?? {});
  if (values === 'any') {
    const message = 'needs a template with a list of values, because keys would otherwise be fetched for any issuer';
    refuse(['events'], message);
  } else if (values !== undefined && values.length > 1) {
    const message = 'needs a separate entry for each template value, because each has its own transmitter';
    for (const key of ['sharedSignals', 'subjectIssuer', 'webhook', 'revoke'] as const)
      if (events[key] !== undefined) refuse(['events', key], message);
  }
}

function checkWebhook({ verify, challenge, ends }: WebhookFormat, refuse: Refuse): void {
  const at = ['format', 'verify'];
  if (verify.kind === 'hmac' && verify.header === '')
    refuse(at, '"header" is required with hmac', { absent: 'header' });
  if (challenge !== undefined && verify.kind !== 'bearer')
    refuse(['format', 'challenge'], 'needs verify: { kind: bearer }: only a secret in the request proves the caller');
  for (const [index, end] of ends.entries()) {
    const path = ['format', 'ends', index];
    if ((end.session ?? end.user) === undefined) refuse(path, '"session" or "user" is required', { absent: 'user' });
    if (end.tenant !== undefined && (end.user === undefined || end.session !== undefined))
      refuse(path, '"tenant" needs "user", and no "session"');
    // Otherwise a copy of the request would end later logins.
    if (verify.kind === 'hmac' && verify.time === 'none' && end.at === undefined)
      refuse(path, '"at" is required, because the signature has no time', { absent: 'at' });
  }
}
