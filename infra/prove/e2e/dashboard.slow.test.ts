import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, isInstalled } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type RealPrometheus, realPrometheus } from '../../ship/prometheus/real-prometheus.ts';
import { call, logIn } from '../../stacks/client.ts';
import { makePlace, type Place, repository, startEverything } from '../../stacks/stack.ts';
import { steadyLoad } from '../../stacks/steady-load.ts';

type Dashboard = Readonly<{
  templating: Readonly<{ list: readonly Readonly<{ name: string; query: string | { query: string } }>[] }>;
  panels: readonly Readonly<{ title: string; targets?: readonly Readonly<{ expr: string }>[] }>[];
}>;

const dashboard = JSON.parse(
  readFileSync(join(repository, 'infra/ship/prometheus/dashboard.json'), 'utf8'),
) as Dashboard;
const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }): [panel: string, expr: string] => [title, expr]),
);

(isInstalled('prometheus') ? describe : describe.skip)('npm start, scraped by a real Prometheus', () => {
  let place: Place;
  let stop: () => Promise<unknown>;
  let gateway: string;
  let jobs: Readonly<Record<string, number>>;
  let prometheus: RealPrometheus;
  let load: ReturnType<typeof steadyLoad<string>>;
  let instances: string;

  beforeAll(async () => {
    place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
    const { admin, auth, users, complaints } = place.ports;
    jobs = { gateway: admin, 'auth-service': auth, 'users-service': users, 'complaint-service': complaints };
    const started = await startEverything(place);
    stop = () => started.stop();
    gateway = `http://127.0.0.1:${place.ports.gateway}`;
    const { token } = await logIn(gateway, 'agent@acme.test');
    const paths = ['/v1/complaints', '/v1/users/me', '/v1/auth/sessions'];
    // While the stack started, a target may have refused a connection. It is unhealthy until a request succeeds.
    for (const path of paths) expect((await call(gateway + path, { token })).status).toBe(200);
    prometheus = await realPrometheus(jobs);
    load = steadyLoad(2, async () => {
      const answers = paths.map((path) => call(gateway + path, { token }));
      const statuses = (await Promise.all([...answers, call(`${gateway}/v1/users/me`)])).map(({ status }) => status);
      return statuses.join(' ');
    });
    // A rate needs two values: the first logout creates the series.
    for (const count of [1, 2]) {
      await logOut();
      await seen('sum(countersign_revocation_lag_seconds_count)', count);
    }
    await seen('min(count_over_time(up[1m]))', 6);
    // As Grafana does for "All".
    instances = (await prometheus.labelValues('instance', 'countersign_config_info')).join('|');
  }, 120_000);
  afterAll(async () => {
    await load?.stop();
    await prometheus?.close();
    await stop?.();
    await place.remove();
  });

  async function logOut(): Promise<void> {
    const { token } = await logIn(gateway, 'complainant@acme.test');
    expect((await call(`${gateway}/v1/auth/logout`, { method: 'POST', token })).status).toBe(204);
  }
  const seen = (query: string, least: number) =>
    eventually(async () => {
      const [sample] = await prometheus.query(query);
      expect(Number(sample?.value[1])).toBeGreaterThanOrEqual(least);
    }, 30_000);

  test('no alert fires', async () => {
    expect(await prometheus.query('max_over_time(ALERTS{alertstate="firing"}[10m])')).toEqual([]);
    expect(new Set(load.outcomes.map(({ result }) => result))).toEqual(new Set(['200 200 200 401']));
  });

  test.each(queries)('the panel "%s" has data', async (_panel, expr) => {
    const samples = await prometheus.query(
      expr.replaceAll('$__rate_interval', '30s').replaceAll('$instance', instances),
    );
    expect(samples.filter(({ value }) => Number.isFinite(Number(value[1])))).not.toEqual([]);
  });

  test('the dashboard has only the variables that its queries and Grafana use', () => {
    const used = queries.flatMap(([, expr]) => [...expr.matchAll(/\$(\w+)/g)].map(([, name]) => name));
    expect(new Set(used)).toEqual(new Set(['instance', '__rate_interval']));
    expect(dashboard.templating.list).toMatchObject([
      { name: 'datasource' },
      { name: 'instance', query: { query: 'label_values(countersign_config_info, instance)' } },
    ]);
    expect(instances).toBe(`127.0.0.1:${place.ports.admin}`);
  });

  test('promtool accepts every metric name and unit, except those of prom-client', async () => {
    for (const port of Object.values(jobs)) {
      const input = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      const { stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' });
      const ofNode = /^nodejs_active_(handles|requests|resources)_total non-counter metrics should not have "_total"/;
      const problems = `${stdout}${stderr}`.split('\n').filter((line) => line !== '' && !ofNode.test(line));
      expect(problems).toEqual([]);
    }
  });
});
