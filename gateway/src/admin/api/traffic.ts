import { mapped, summarized, type Traffic } from '@countersign/admin-api';
import type { TrafficSeries } from '../../metrics/traffic-history.ts';
import { timeOf } from '../describe.ts';
import type { ConsoleSources } from './sources.ts';

export const readTraffic = (sources: ConsoleSources): Traffic =>
  describeTraffic(sources.traffic.history.ofProcess(sources.nowMs()), sources);

export function describeTraffic(
  { startMs, stepMs, responses, failures, durations, boundsMs }: TrafficSeries,
  { nowMs, startedAtMs }: Pick<ConsoleSources, 'nowMs' | 'startedAtMs'>,
): Traffic {
  const copied = (list: readonly number[]) => [...list];
  const series = {
    start: timeOf(startMs),
    step_sec: stepMs / 1000,
    responses: mapped(responses, copied),
    failures: mapped(failures, copied),
    durations: { bounds_ms: [...boundsMs], counts: durations.map(copied) },
  };
  return summarized(series, nowMs() - startedAtMs);
}
