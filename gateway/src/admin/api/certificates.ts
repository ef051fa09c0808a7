import { X509Certificate } from 'node:crypto';
import type { Answers, Certificate } from '@countersign/admin-api';
import { timeOf } from '../describe.ts';
import type { ConsoleSources } from './sources.ts';

export function readCertificates({ current, nowMs }: ConsoleSources): Answers['/api/certificates'] {
  const { config, upstreams } = current();
  const opened = [...upstreams.all()].map(({ upstream, tls }) => ({ use: `upstream ${upstream.name}`, tls }));
  const { certificate: own } = config;
  const files = [
    { use: 'public listener', cert: own?.cert },
    { use: 'clients of the public listener', ca: own?.clients?.ca },
    ...opened.map(({ use, tls }) => ({ use, ...tls?.current() })),
  ];
  return {
    certificates: files.flatMap(({ use, cert, ca }) => [
      ...readAll(cert).map((one, at) => describe(one, use, at === 0 ? 'leaf' : 'chain', nowMs())),
      ...readAll(ca).map((one) => describe(one, use, 'CA', nowMs())),
    ]),
    trouble: opened.flatMap(({ use, tls }) => {
      const problem = tls?.failure();
      return problem === undefined ? [] : [{ use, problem }];
    }),
    public_tls: own !== undefined,
  };
}

const dayMs = 86_400_000;
const pem = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** Cannot fail, because the files were checked when they were read. */
const readAll = (text = ''): X509Certificate[] => (text.match(pem) ?? []).map((one) => new X509Certificate(one));

function describe(one: X509Certificate, use: string, position: string, nowMs: number): Certificate {
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
