import { useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { client, session } from './client.ts';
import { isLeaving } from './session.ts';
import { useStored } from './store.ts';

type Change = Readonly<{ complaint_id: string; actor_id: string }>;

/**
 * Reloads the data that an event concerns. A hidden page closes its stream, because browsers allow six connections per
 * origin, and the service ten streams per user. When the page is shown again, the stream continues after the last
 * event.
 */
export function useLiveEvents(): void {
  const queries = useQueryClient();
  const leaving = useStored(isLeaving);
  useEffect(() => {
    if (leaving) return;
    let lastEventId: string | undefined;
    let stopping = new AbortController();

    async function follow(signal: AbortSignal): Promise<void> {
      const resumed = lastEventId === undefined ? {} : { lastEventId };
      for await (const { event, id, data } of client.events('/v1/complaints/events', { signal, ...resumed })) {
        lastEventId = id ?? lastEventId;
        const { complaint_id: changed, actor_id: actor } = (
          event === 'reset' ? {} : JSON.parse(data)
        ) as Partial<Change>;
        const queryKey = changed === undefined ? ['complaint'] : ['complaint', changed];
        // An action on this page reloads the same data after its response.
        if (actor === session.get()?.user.id && queries.isMutating({ mutationKey: queryKey }) > 0) continue;
        void queries.invalidateQueries({ queryKey: ['complaints'] });
        void queries.invalidateQueries({ queryKey });
      }
    }
    function followWhileVisible(): void {
      stopping.abort();
      if (document.hidden) return;
      stopping = new AbortController();
      // Without a stream, lists reload when the page gets the focus.
      follow(stopping.signal).catch(() => {});
    }

    followWhileVisible();
    document.addEventListener('visibilitychange', followWhileVisible);
    return () => {
      stopping.abort();
      document.removeEventListener('visibilitychange', followWhileVisible);
    };
  }, [queries, leaving]);
}
