import type { Registry } from '@countersign/service-kit';
import { Counter, Gauge } from 'prom-client';
import type { ReloadState } from '../snapshot/reload.ts';
import type { Generation } from '../snapshot/snapshot.ts';

type Watched = Readonly<{
  current(): Pick<Generation, 'config'>;
  reloads(): Pick<ReloadState, 'loadedAtMs' | 'refused'>;
}>;

/** @returns What counts one reload. A refused file counts once, however often it is tried again. */
export function watchReloads(
  { current, reloads }: Watched,
  registry: Registry,
): (result: 'applied' | 'refused') => void {
  const registers = [registry];
  new Gauge({
    name: 'countersign_config_last_reload_successful',
    help: '0 while the file on disk is refused, and an older configuration in force. The least of all workers.',
    aggregator: 'min',
    registers,
    collect() {
      this.set(reloads().refused === undefined ? 1 : 0);
    },
  });
  new Gauge({
    name: 'countersign_config_loaded_timestamp_seconds',
    help: 'When the configuration in force was put into force. The earliest of all workers.',
    aggregator: 'min',
    registers,
    collect() {
      this.set(reloads().loadedAtMs / 1000);
    },
  });
  new Gauge({
    name: 'countersign_config_info',
    help: 'How many workers, 1 if there are none, have the file in force whose SHA-256 is the label.',
    labelNames: ['hash'],
    registers,
    collect() {
      this.reset();
      this.set({ hash: current().config.hash }, 1);
    },
  });
  const total = new Counter({
    name: 'countersign_config_reloads_total',
    help: 'Reloads by result, the first load not counted.',
    labelNames: ['result'],
    registers,
  });
  for (const result of ['applied', 'refused']) total.inc({ result }, 0);
  return (result) => total.inc({ result });
}
