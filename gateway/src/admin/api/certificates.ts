import { X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { first } from './merge.ts';
import { time, timeOf } from './values.ts';
import { type ConsoleSources, defineView } from './view.ts';

const certificate = z
  .object({
    use: z.string().describe('Where it is used, such as `public listener`.'),
    position: z.string().describe('`leaf`, `chain` or `CA`.'),
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
export type CertificateItem = z.output<typeof certificate>;

const certificateList = z.object({
  certificates: z.array(certificate),
  trouble: z
    .array(z.object({ use: z.string(), problem: z.string() }))
    .describe('TLS files that cannot be read. The last good ones stay in use.'),
  public_tls: z.boolean(),
});

export const certificatesView = defineView({
  path: '/certificates',
  operationId: 'listCertificates',
  tag: 'State',
  summary: 'The certificates of the public listener and of upstreams, and when they expire',
  response: certificateList,
  read(sources) {
    const { config, upstreams } = sources.current();
    const opened = [...upstreams.all()];
    return {
      certificates: [...listenerCertificates(sources), ...upstreamCertificates(sources)],
      trouble: opened.flatMap(({ upstream, tls }) => {
        const problem = tls?.failure();
        return problem === undefined ? [] : [{ use: `upstream ${upstream.name}`, problem }];
      }),
      public_tls: config.certificate !== undefined,
    };
  },
  merge: first,
});

function listenerCertificates({ current, nowMs }: ConsoleSources): CertificateItem[] {
  const { certificate: own } = current().config;
  if (own === undefined) return [];
  const use = 'public listener';
  return [
    ...readAll(own.cert).map((one, at) => describe(one, use, at === 0 ? 'leaf' : 'chain', nowMs())),
    ...readAll(own.clients?.ca ?? '').map((one) => describe(one, `clients of the ${use}`, 'CA', nowMs())),
  ];
}

function upstreamCertificates({ current, nowMs }: ConsoleSources): CertificateItem[] {
  return [...current().upstreams.all()].flatMap(({ upstream, tls }) => {
    const { cert = '', ca = '' } = tls?.current() ?? {};
    const use = `upstream ${upstream.name}`;
    return [
      ...readAll(cert).map((one, at) => describe(one, use, at === 0 ? 'leaf' : 'chain', nowMs())),
      ...readAll(ca).map((one) => describe(one, use, 'CA', nowMs())),
    ];
  });
}

const dayMs = 86_400_000;
const pem = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** Cannot fail: the files were checked when they were read. */
const readAll = (text: string): X509Certificate[] => (text.match(pem) ?? []).map((one) => new X509Certificate(one));

function describe(one: X509Certificate, use: string, position: string, nowMs: number): CertificateItem {
  const untilMs = one.validToDate.getTime();
  return {
    use,
    position,
    subject: one.subject.replaceAll('\n', ', '),
    issuer: one.issuer.replaceAll('\n', ', '),
    names: one.subjectAltName?.split(', ') ?? [],
    serial: one.serialNumber,
    sha256: one.fingerprint256,
    from: timeOf(one.validFromDate.getTime()),
    until: timeOf(untilMs),
    days_left: Math.floor((untilMs - nowMs) / dayMs),
  };
}
