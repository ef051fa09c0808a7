/** What to generate for one tenant. The same numbers generate the same rows on every server. */
export type Wanted = Readonly<{
  tenantId: string;
  complaints: number;
  /** The tenant's number, so that two tenants differ. */
  seed: number;
}>;

const categoryNames = [
  'Lighting',
  'Roads',
  'Noise',
  'Waste',
  'Parks',
  'Water',
  'Graffiti',
  'Traffic',
  'Housing',
  'Other',
];
const agents = Array.from({ length: 40 }, (_, n) => `agent-${n}`);
/** The user who files all of them, on behalf of callers. */
const filler = { userId: 'agent-0', userRole: 'admin' } as const;
/** Words of the generated texts, common ones first. The first word is in two of five complaints. */
const vocabulary = 20_000;
const wordsEach = 10;
const days = 1_000;

/** A number from 0 to 1 that depends only on the row, the column and the seed. */
const random = (row: string, column: number, seed: number) =>
  `((hashint8extended(${row}, ${seed * 1_000 + column}) & 2147483647) / 2147483648.0::float8)`;

/** Four syllables for a number. Every word shares its beginning with 1/20 of the others, as in a natural language. */
const syllables =
  "array['ba','ce','di','fo','gu','ha','je','ki','lo','mu','na','pe','ri','so','tu','va','we','xi','yo','zu']";
const wordOf = (index: string) =>
  `(${[1, 20, 400, 8_000].map((step) => `(${syllables})[1 + (${index} / ${step}) % 20]`).join(' || ')})`;

/**
 * Statements that fill an empty tenant, to run as a superuser. They take about ten seconds of CPU time for 100,000
 * complaints, and create the same rows on any server. Older complaints are finished, recent ones are open, and every
 * tenth misses its target.
 */
export function fillTenant({ tenantId, complaints, seed }: Wanted): readonly string[] {
  const r = (column: number) => random('n', column, seed);
  const id = (row: string, kind: number) =>
    `(lpad(to_hex((extract(epoch from filed_at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex((${row} % 4096)), 3, '0') ||
      '8' || substr(md5(${row} || '-${seed}-${kind}'), 1, 15))::uuid`;
  const hours = (column: number, most: number) => `make_interval(secs => (${r(column)} ^ 2) * ${most * 3_600})`;
  return [
    `insert into categories (tenant_id, id, name, name_key, first_answer_minutes, resolution_minutes, revision, created_at, updated_at)
     select '${tenantId}', md5(name || '-${seed}')::uuid, name, lower(name), 1440, 20160, md5(name)::uuid, now(), now()
     from unnest(array[${categoryNames.map((name) => `'${name}'`).join(', ')}]) as name`,
    `insert into complaints (tenant_id, id, title, description, category_id, status, priority, complainant_id, created_by,
       assignee_id, latitude, longitude, clock_started_at, first_answer_due_at, first_answered_at, resolution_due_at,
       resolved_at, number, revision, created_at, updated_at)
     select '${tenantId}', ${id('n', 1)}, 'Complaint ' || n, 'Generated with the seed ${seed}',
       md5((array[${categoryNames.map((name) => `'${name}'`).join(', ')}])[1 + floor((${r(1)} ^ 2) * ${categoryNames.length})::int] || '-${seed}')::uuid,
       status, (array[1, 1, 1, 1, 1, 1, 0, 2, 2, 3])[1 + floor(${r(2)} * 10)::int],
       'person-' || floor(${r(3)} * ${Math.ceil(complaints / 8)}), '${filler.userId}',
       case when status in ('assigned', 'in_progress', 'resolved', 'closed') then 'agent-' || floor((${r(4)} ^ 1.5) * ${agents.length}) end,
       48 + ${r(5)}, 16 + ${r(6)}, filed_at, filed_at + interval '1 day',
       case when status <> 'open' then filed_at + ${hours(7, 36)} end, filed_at + interval '14 days',
       case when status in ('resolved', 'closed') then filed_at + ${hours(8, 400)} end, 'SCALE-' || n,
       ${id('n', 2)}, filed_at, filed_at + ${hours(9, 400)}
     from (
       select n, date_trunc('milliseconds', now() - interval '${days} days' * (1 - n / ${complaints}.0)) as filed_at,
         (case when n * 100.0 < ${complaints} * 94.0
           then array['closed', 'closed', 'closed', 'closed', 'closed', 'closed', 'resolved', 'rejected', 'duplicate', 'withdrawn']
           else array['open', 'open', 'open', 'assigned', 'assigned', 'in_progress', 'in_progress', 'reopened', 'resolved', 'rejected']
         end)[1 + floor(${r(11)} * 10)::int] as status
       from generate_series(1, ${complaints}) as n) as drawn`,
    // Common words are drawn more often: the cube of a uniform number is mostly small.
    `insert into terms
     select distinct '${tenantId}', ${wordOf(`floor((${random('n', 20, seed)} ^ 3) * ${vocabulary})::int`)}, id
     from (
       select id, n from (select id, row_number() over (order by created_at, id) as row from complaints
         where tenant_id = '${tenantId}') as numbered, lateral generate_series(row * ${wordsEach}, row * ${wordsEach} + ${wordsEach - 1}) as n
     ) as drawn`,
  ];
}
