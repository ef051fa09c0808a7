import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { attachFile } from '../complaints/actions.ts';
import { answerOf, codeOf } from '../failure.ts';
import { client } from '../session.ts';
import { bodyOf, type Draft, draftsIn } from './draft.ts';
import { type Photo, photoStore } from './photo-store.ts';
import { shrinkPhoto } from './photos.ts';
import { sendDraft } from './send-draft.ts';

export const maxPhotos = 10;

const drafts = draftsIn(sessionStorage, () => crypto.randomUUID());

/** A user's draft and its photos. Each change is saved immediately, so that a reload does not lose it. */
export function useDraft(userId: string) {
  const [draft, setDraft] = useState(() => drafts.read(userId));
  // Sending reads the draft after each step, without waiting for React to render.
  const latest = useRef(draft);
  const [photos, setPhotos] = useState<readonly Photo[]>([]);
  useEffect(() => {
    void photoStore.of(draft.key).then(setPhotos);
  }, [draft.key]);

  function change(part: Partial<Draft>): void {
    latest.current = { ...latest.current, ...part };
    drafts.write(userId, latest.current);
    setDraft(latest.current);
  }

  async function addPhotos(files: readonly File[]): Promise<string[]> {
    const unreadable: string[] = [];
    for (const file of files.slice(0, maxPhotos - photos.length)) {
      try {
        const smaller = await shrinkPhoto(file);
        const photo = { id: crypto.randomUUID(), draft: draft.key, addedAtMs: Date.now(), file: smaller };
        setPhotos((before) => [...before, photo]);
        await photoStore.add(photo);
      } catch {
        unreadable.push(file.name);
      }
    }
    return unreadable;
  }

  function removePhoto({ id }: Photo): void {
    setPhotos((before) => before.filter((photo) => photo.id !== id));
    void photoStore.remove(id);
  }

  function discard(): void {
    for (const photo of photos) removePhoto(photo);
    drafts.remove(userId);
    latest.current = drafts.read(userId);
    setDraft(latest.current);
  }

  return { draft, photos, change, addPhotos, removePhoto, discard, latest: () => latest.current };
}

export type DraftInUse = ReturnType<typeof useDraft>;

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
