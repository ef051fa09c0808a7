import type { CatalogueTables } from './catalogue.ts';
import type { ComplaintTables } from './complaints.ts';
import type { StatisticsTables } from './statistics.ts';

/** All tables, by subject. */
export type ComplaintsSchema = ComplaintTables & CatalogueTables & StatisticsTables;
