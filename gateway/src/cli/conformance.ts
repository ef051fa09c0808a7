import type { Result } from '@countersign/conformance';
import { docsPage, isLoopback } from '@countersign/process-kit';
import { type Command, type Terminal, text, UsageError, type Values } from './command.ts';
import { entryOf, formatOf, printReport, reportOptions, type TestResult } from './report.ts';

const [page, tokenPage] = [docsPage('identity-contract.md'), docsPage('identity-token.md')];

export const conformance: Command = {
  name: 'conformance',
  usage: 'URL --audience NAME',
  summary: 'test whether a service verifies identity correctly',
  options: [
    ['--audience NAME', "the service's name, as in gateway.yaml"],
    ['--form FORM', 'what the service verifies: headers, the default, or token'],
    ['--header NAME', "with --form token, the token's header; default: countersign-token"],
    ['--keys ADDRESS', "where to serve the gateway's key set; default: 127.0.0.1:8090"],
    ['--allow-host', 'also test a service that is not on this machine'],
    ...reportOptions,
  ],
  async run(terminal, values, positionals) {
    const format = formatOf(values);
    const options = optionsOf(values, positionals);
    const quiet = format !== 'text';
    // Here, because it reads a megabyte of vectors, which no other command needs.
    const { NotTestable, runConformance, runTokenConformance } = await import('@countersign/conformance');
    try {
      const { results, leftOut } = await (options.isToken ? runTokenConformance : runConformance)({
        ...options,
        nowMs: terminal.nowMs,
        onServing: (url) => void (quiet || terminal.out(`The key set for ${options.audience} is at ${url}`)),
      });
      if (quiet) return printReport(terminal, 'conformance', format, { problems: [], tests: results.map(testOf) });
      for (const [why, count] of leftOut) terminal.out(`left out: ${count}, because ${why}`);
      return reportText(terminal, results, options.isToken);
    } catch (error) {
      if (!(error instanceof NotTestable)) throw error;
      terminal.err(`countersign conformance: ${error.message}`);
      return 1;
    }
  },
};

function optionsOf(values: Values, positionals: readonly string[]) {
  const [address, ...more] = positionals;
  if (address === undefined || more.length > 0) throw new UsageError('name one URL, such as http://127.0.0.1:3000');
  const url = URL.parse(address);
  if (url === null || url.protocol !== 'http:') throw new UsageError(`${address} is not an http URL`);
  if (!isLoopback(url.href) && values['allow-host'] !== true)
    throw new UsageError(
      `${url.hostname} is not this machine: the test sends about 2,000 invalid requests. --allow-host permits it`,
    );
  const audience = text(values.audience);
  if (audience === undefined) throw new UsageError("--audience is missing: the service's name, as in gateway.yaml");
  const form = text(values.form) ?? 'headers';
  if (form !== 'headers' && form !== 'token') throw new UsageError('--form must be headers or token');
  const isToken = form === 'token';
  const header = (text(values.header) ?? 'countersign-token').toLowerCase();
  const keys = URL.parse(`http://${text(values.keys) ?? '127.0.0.1:8090'}`);
  if (keys === null) throw new UsageError('--keys must be HOST:PORT');
  const served = { host: keys.hostname.replace(/^\[|\]$/g, ''), port: Number(keys.port || 80) };
  return { url, audience, isToken, header, keys: served };
}

function sentence({ name, judgement }: Result): string {
  if (judgement.kind === 'right') return '';
  const { message, section } = judgement;
  return `"${name}" ${message} (${section === undefined ? tokenPage : `${page}, section ${section}`})`;
}

const testOf = (result: Result): TestResult => ({
  ...entryOf(sentence(result)),
  name: result.name,
  passed: result.judgement.kind !== 'fault',
});

function reportText({ out, paint }: Terminal, results: readonly Result[], isToken: boolean): number {
  const of = (kind: Result['judgement']['kind']) => results.filter(({ judgement }) => judgement.kind === kind);
  const faults = of('fault');
  const notes = of('note');
  for (const fault of faults) out(`${paint('bad', 'FAULT')} ${sentence(fault)}`);
  for (const note of notes) out(`${paint('quiet', 'note')}  ${sentence(note)}`);
  if (isToken) {
    const moved = results.filter(({ name }) => name.startsWith('a token for another'));
    const refused = moved.filter(({ judgement }) => judgement.kind === 'right').length;
    out(`check of req: refused ${refused} of ${moved.length} tokens that were for another request`);
  }
  const count = paint(faults.length > 0 ? 'bad' : 'good', `${faults.length} faults`);
  out(`${results.length} requests, ${count}, ${notes.length} notes`);
  return faults.length > 0 ? 1 : 0;
}
