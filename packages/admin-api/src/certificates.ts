import { z } from 'zod';
import { time } from './values.ts';

const certificate = z
  .object({
    use: z.string().describe('Where the certificate is used, such as `public listener`.'),
    position: z.string().describe('The position in the chain: `leaf`, `chain` or `CA`.'),
    subject: z.string(),
    issuer: z.string(),
    names: z.array(z.string()),
    serial: z.string(),
    sha256: z.string(),
    from: time,
    until: time,
    days_left: z.int(),
  })
  .meta({ id: 'Certificate' });
export type Certificate = z.output<typeof certificate>;

export const certificateList = z.object({
  certificates: z.array(certificate),
  trouble: z
    .array(z.object({ use: z.string(), problem: z.string() }))
    .describe('TLS files that cannot be read. The last valid files stay in use.'),
  public_tls: z.boolean(),
});
