import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { attachFile } from '../attach-file.ts';
import { client } from '../client.ts';
import { answerOf, codeOf } from '../failure.ts';
import { bodyOf, type Draft } from './draft.ts';
import { sendDraft } from './send-draft.ts';
import type { DraftInUse } from './use-draft.ts';

async function file(draft: Draft): Promise<string> {
  const header = { 'idempotency-key': draft.key };
  return (await answerOf(client.api.POST('/v1/complaints', { params: { header }, body: bodyOf(draft) }))).id;
}

/** Sends the draft. If the browser is offline, retries as soon as it is online. */
export function useSending({ latest, photos, change, removePhoto, discard }: DraftInUse) {
  const queries = useQueryClient();
  const { mutate, isPending, error, data, reset } = useMutation({
    // If offline, the user immediately sees that the complaint was not sent.
    networkMode: 'always',
    mutationFn: () => sendDraft(latest(), photos, { file, attach: attachFile, keep: change, finish: removePhoto }),
    onSuccess: () => {
      discard();
      void queries.invalidateQueries({ queryKey: ['complaints'] });
    },
  });
  const isOffline = error !== null && codeOf(error) === 'offline';
  useEffect(() => {
    if (!isOffline) return;
    const again = () => mutate();
    addEventListener('online', again);
    return () => removeEventListener('online', again);
  }, [isOffline, mutate]);
  return { send: mutate, isPending, error, isOffline, filed: data, reset };
}
