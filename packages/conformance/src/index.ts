export { type ConformanceOptions, NotTestable, type Result, runConformance } from './run.ts';
