export type { Result } from './probes.ts';
export { type ConformanceOptions, NotTestable, type Report, runConformance, runTokenConformance } from './run.ts';
