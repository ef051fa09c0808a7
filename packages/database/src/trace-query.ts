import { addQuerySpan } from '@countersign/tracing';
import type { LogEvent } from 'kysely';

/** Creates a span for each statement in a traced request. */
export const traceQuery = (event: LogEvent): void =>
  addQuerySpan(event.query.sql, event.queryDurationMillis, event.level === 'error' ? event.error : undefined);
