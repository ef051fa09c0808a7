import { ConfigError } from '@countersign/process-kit';
import { loadWithoutFiles } from '../config/load.ts';
import { type Command, jsonOption, type Terminal, text, UsageError, type Values } from './command.ts';

export const diff: Command = {
  name: 'diff',
  usage: 'OLD NEW',
  summary: 'show who gains and who loses access by a change of the configuration',
  options: [
    jsonOption,
    ['--markdown', 'print Markdown, for a pull request'],
    ['--fail-on WHAT', '`wider`: exit with 1 only if someone gains access, or could; default: for every difference'],
  ],
  async run(terminal, values, positionals) {
    const [old, now, ...more] = positionals;
    if (old === undefined || now === undefined || more.length > 0) throw new UsageError('OLD and NEW are required');
    const failOn = text(values['fail-on']);
    if (failOn !== undefined && failOn !== 'wider') throw new UsageError('--fail-on must be wider');
    if (values.json === true && values.markdown === true)
      throw new UsageError('only one of --json, --markdown is allowed');
    try {
      const { same, wider } = await printDiff(old, now, terminal, values);
      return (failOn === undefined ? same : !wider) ? 0 : 1;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const problem of error.problems) terminal.err(problem);
      return 2;
    }
  },
};

async function printDiff(old: string, now: string, terminal: Terminal, values: Values) {
  const [before, after] = [loadWithoutFiles(old), loadWithoutFiles(now)];
  // Imported here, so that the other commands start faster.
  const { compareAccess } = await import('../diff/compare.ts');
  const { compareSettings } = await import('../diff/settings.ts');
  const { linesOf, markdownForm, terminalForm } = await import('../diff/report.ts');
  const { access, pairs } = compareAccess(before, after, terminal.nowMs());
  const settings = compareSettings(before, after, { access, pairs });
  const union = (key: 'variables' | 'files') => [...new Set([...before[key], ...after[key]])].sort();
  const notCompared = { variables: union('variables'), files: union('files') };
  const same = access.length === 0 && settings.length === 0;
  const wider = [...access, ...settings].some(({ effect }) => effect === 'wider' || effect === 'unknown');
  const report = { same, wider, access, settings, notCompared };
  const form = values.markdown === true ? markdownForm : terminalForm((title) => terminal.paint('strong', title));
  if (values.json === true) terminal.out(JSON.stringify(report, null, 2));
  else for (const line of linesOf(report, form)) terminal.out(line);
  return { same, wider };
}
