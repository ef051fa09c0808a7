import type { MetricsSource } from '@countersign/service-kit';
import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client';
import { withoutOutdatedFailures } from './outdated-failures.ts';
import type { SupervisedWorker } from './supervised-worker.ts';

/** @returns Undefined when every worker that accepts connections is ready. A worker that is restarting accepts none. */
export async function describeUnready(workers: readonly SupervisedWorker[]): Promise<string | undefined> {
  const serving = workers.flatMap((worker) => {
    const admin = worker.admin();
    return admin === undefined ? [] : [{ number: worker.number, admin }];
  });
  if (serving.length === 0) return 'no worker is serving';
  const answers = await Promise.all(
    serving.map(async ({ number, admin }) => {
      try {
        const { status, body } = await admin.get('/readyz');
        return status === 200 ? [] : [`worker ${number}: ${failedChecks(body)}`];
      } catch {
        return [`worker ${number} does not answer`];
      }
    }),
  );
  const problems = answers.flat();
  return problems.length === 0 ? undefined : problems.join('; ');
}

function failedChecks(body: string): string {
  const { checks } = JSON.parse(body) as { checks: Record<string, string> };
  const failed = Object.entries(checks).filter(([, state]) => state !== 'ok');
  return failed.map(([name, state]) => `${name}: ${state}`).join(', ');
}

/** The metrics of the primary: those of all workers, added up, and its own. */
export function createWorkerMetrics(workers: readonly SupervisedWorker[]): MetricsSource {
  const registry = new Registry();
  const registers = [registry];
  new Gauge({
    name: 'countersign_workers',
    help: 'Workers that serve now. Absent without --workers.',
    registers,
    collect() {
      this.set(workers.filter((worker) => worker.admin() !== undefined).length);
    },
  });
  new Counter({
    name: 'countersign_worker_restarts_total',
    help: 'Workers that exited and were started again.',
    registers,
    collect() {
      this.reset();
      this.inc(workers.reduce((sum, { restarts }) => sum + restarts, 0));
    },
  });
  return {
    contentType: registry.contentType,
    async metrics() {
      const all = await Promise.all(workers.map((worker) => worker.metrics()));
      return AggregatorRegistry.aggregate([
        ...withoutOutdatedFailures(all),
        await registry.getMetricsAsJSON(),
      ]).metrics();
    },
  };
}
