import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { mailKinds } from './recipients.ts';

const refusal = z.object({ tenantId: z.string(), person: z.string(), kind: z.enum(mailKinds) });

/** A person wants no more emails of a kind. `person` is a user id, or {@link personAt} an address. */
export type Refusal = Readonly<z.infer<typeof refusal>>;

export type UnsubscribeTokens = ReturnType<typeof unsubscribeTokens>;

/** A person without an account. The hash avoids another copy of the address. */
export const personAt = (address: string): string =>
  `address ${createHash('sha256').update(address.toLowerCase()).digest('hex')}`;

/**
 * Signs what a link unsubscribes from (RFC 8058 section 3.1), so that people cannot unsubscribe others. A token never
 * expires, because people may use old emails.
 *
 * @param master At least 32 bytes, the same for all instances.
 */
export function unsubscribeTokens(master: Buffer) {
  const key = Buffer.from(hkdfSync('sha256', master, '', 'countersign-unsubscribe-v1', 32));
  const macOf = (body: string) => createHmac('sha256', key).update(body).digest();
  return {
    sign(what: Refusal): string {
      const body = Buffer.from(JSON.stringify(what)).toString('base64url');
      return `${body}.${macOf(body).toString('base64url')}`;
    },
    /** @returns Undefined if this service did not sign the token. */
    read(token: string): Refusal | undefined {
      const [body = '', signature = ''] = token.split('.');
      const [given, wanted] = [Buffer.from(signature, 'base64url'), macOf(body)];
      if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined;
      return refusal.parse(JSON.parse(Buffer.from(body, 'base64url').toString()));
    },
  };
}
