/** Upper bounds of the time ranges, in seconds: an hour, four hours, a day, three days, seven and thirty. */
const bounds = 'array[3600, 14400, 86400, 259200, 604800, 2592000]';

type Clock = Readonly<{ measure: string; startedAt: string; endedAt: string; dueAt: string }>;

const timesOf = ({ measure, startedAt, endedAt, dueAt }: Clock) => `
  insert into statistics_times
  select tenant_id, date_trunc('month', ${endedAt} at time zone 'UTC')::date, '${measure}', category_id,
    width_bucket(extract(epoch from ${endedAt} - ${startedAt})::bigint, ${bounds}),
    count(*), sum(extract(epoch from ${endedAt} - ${startedAt})::bigint), count(${dueAt}),
    count(*) filter (where ${endedAt} <= ${dueAt})
  from complaints where ${endedAt} is not null
  group by 1, 2, 4, 5`;

/**
 * Computes the statistics from the complaints that the role can see, into empty tables. Requests keep them up to date
 * afterwards, so this is for complaints that were written in bulk.
 */
export const rebuildStatistics: readonly string[] = [
  `insert into statistics_by_status
     select tenant_id, category_id, status, count(*) from complaints group by 1, 2, 3`,
  `insert into statistics_by_age
     select tenant_id, (created_at at time zone 'UTC')::date, count(*) from complaints where active group by 1, 2`,
  timesOf({
    measure: 'first_answer',
    startedAt: 'created_at',
    endedAt: 'first_answered_at',
    dueAt: 'first_answer_due_at',
  }),
  timesOf({ measure: 'resolution', startedAt: 'clock_started_at', endedAt: 'resolved_at', dueAt: 'resolution_due_at' }),
];
