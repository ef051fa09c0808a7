/** Webhooks of each tenant: half are active, the others paused or disabled. */
const webhooksEach = 20;
/** Deliveries of each webhook. A tenth is due, a tenth waits for a retry, the rest is the log. */
const deliveriesEach = 2_500;

/** SQL that generates webhooks, deliveries, events and stored responses, with or without expired ones among them. */
export const manyDeliveries: readonly string[] = [
  `insert into webhooks (tenant_id, id, url, events, signature, state, ended_reason, created_by, created_at, updated_at)
   select tenant_id, md5(tenant_id || n)::uuid, 'https://hooks.example/', array['complaint.filed'], 'ed25519',
     case when n % 2 = 0 then 'active' when n % 4 = 1 then 'paused' else 'ended' end,
     case when n % 4 = 3 then 'failing' end, 'admin', now(), now()
   from unnest(array['acme', 'globex']) as tenant_id, generate_series(1, ${webhooksEach}) as n`,
  // Deliveries of one change are due at the same time.
  `insert into webhook_deliveries (tenant_id, id, webhook_id, type, payload, state, due_at, queued_at, created_at)
   select tenant_id, gen_random_uuid(), id, 'complaint.filed', '{}',
     case when n % 10 < 2 and webhooks.state <> 'ended' then 'waiting' else 'delivered' end,
     now() + (case when n % 10 = 0 then -1 else 1 end) * interval '10 minutes', at, at
   from webhooks, generate_series(1, ${deliveriesEach}) as n, lateral (select now() - interval '1 day' * 29 * n / ${deliveriesEach} as at) as time`,
  `insert into events (tenant_id, id, complaint_id, type, internal, actor_id, actor_role, detail, created_at)
   select tenant_id, gen_random_uuid(), id, 'complaint.filed', false, 'agent-0', 'admin', '{}',
     now() - interval '23 hours' * row_number() over () / 100000
   from complaints limit 50000`,
  `insert into idempotency_keys (tenant_id, user_id, key, fingerprint, created_at)
   select 'acme', 'agent-' || n % 40, n::text, '', now() - interval '23 hours' * n / 50000 from generate_series(1, 50000) as n`,
];
