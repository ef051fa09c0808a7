import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, freePorts, startProcess } from '@countersign/testing';
import { rulesFile } from './rules.ts';

/** A series of an instant query. */
export type Sample = Readonly<{
  metric: Readonly<Record<string, string>>;
  value: readonly [atSec: number, text: string];
}>;

export type RealPrometheus = Awaited<ReturnType<typeof realPrometheus>>;

const interval = '1s';

/**
 * Returns rules for a test that cannot wait for hours: a minute in a range becomes 3 s, and each `for` 4 s. Thresholds
 * stay.
 */
export function fastRules(): string {
  return readFileSync(rulesFile, 'utf8')
    .replace(/\[(\d+)m\]/g, (_all, minutes) => `[${minutes * 3}s]`)
    .replace(/\[(\d+)h\]/g, (_all, hours) => `[${hours * 180}s]`)
    .replace(/\bfor: \w+/g, 'for: 4s');
}

/**
 * Starts a Prometheus with {@link fastRules} that scrapes and evaluates every second. It evaluates only after scraping
 * each job, because before that every metric is absent.
 *
 * @param jobs Each process's port on 127.0.0.1, by job name.
 */
export async function realPrometheus(jobs: Readonly<Record<string, number>>) {
  const home = mkdtempSync(join(tmpdir(), 'countersign-prometheus-'));
  const [port = 0] = await freePorts(1);
  const config = {
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    rule_files: [join(home, '*.yaml')],
    scrape_configs: Object.entries(jobs).map(([name, at]) => ({
      job_name: name,
      static_configs: [{ targets: [`127.0.0.1:${at}`] }],
    })),
  };
  writeFileSync(join(home, 'prometheus.yml'), JSON.stringify(config));
  const running = startProcess({
    command: 'prometheus',
    args: [
      `--config.file=${join(home, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(home, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    env: { GOMAXPROCS: '1' },
  });
  /** @throws Error with Prometheus' message if the query is wrong. */
  async function get<T>(path: string, query: Readonly<Record<string, string>>): Promise<T> {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}?${new URLSearchParams(query)}`);
    const { data, error } = (await answer.json()) as { data: T; error?: string };
    if (error !== undefined) throw new Error(`${JSON.stringify(query)}: ${error}`);
    return data;
  }
  const ended = running.exited.then((status) => {
    throw new Error(`prometheus ended with ${status}: ${running.output()}`);
  });
  ended.catch(() => {});
  const query = async (promql: string) => (await get<{ result: readonly Sample[] }>('query', { query: promql })).result;
  const scraped = eventually(async () => {
    const [up] = await query('sum(up)');
    if (Number(up?.value[1]) !== Object.keys(jobs).length) throw new Error(`scraped: ${up?.value[1]}`);
  }, 30_000);
  await Promise.race([scraped, ended]);
  writeFileSync(join(home, 'rules.yaml'), fastRules());
  process.kill(running.pid, 'SIGHUP');
  await eventually(async () => {
    const { groups } = await get<{ groups: readonly object[] }>('rules', {});
    if (groups.length === 0) throw new Error(`no rules: ${running.output()}`);
  });
  return {
    query,
    labelValues: (label: string, series: string) =>
      get<readonly string[]>(`label/${label}/values`, { 'match[]': series }),
    async close() {
      await running.stop();
      rmSync(home, { recursive: true });
    },
  };
}
