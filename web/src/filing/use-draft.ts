import { useEffect, useRef, useState } from 'react';
import { type Draft, draftsIn } from './draft.ts';
import { type Photo, photoStore } from './photo-store.ts';
import { shrinkPhoto } from './photos.ts';

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

  /** @returns The names of files that are not photos. */
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
