import { addQuerySpan } from '@countersign/tracing';
import type { LogEvent } from 'kysely';

/** Makes a span of each statement in a traced request. */
export const traceQuery = (event: LogEvent): void =>
  addQuerySpan(event.query.sql, event.queryDurationMillis, event.level === 'error' ? event.error : undefined);
