export { type ConformanceOptions, NotTestable, type Result, runConformance, runTokenConformance } from './run.ts';
