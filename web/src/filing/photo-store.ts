/** A photo in the draft with this key. The photo's own id is the Idempotency-Key of its upload. */
export type Photo = Readonly<{ id: string; draft: string; addedAtMs: number; file: File }>;

const keptMs = 24 * 60 * 60 * 1_000;

const resultOf = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

async function inStore<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const opening = indexedDB.open('countersign-web', 1);
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore('photos', { keyPath: 'id' });
  };
  const database = await resultOf(opening);
  try {
    return await resultOf(work(database.transaction('photos', mode).objectStore('photos')));
  } finally {
    database.close();
  }
}

/**
 * Keeps a draft's photos in IndexedDB, because phones may discard a background page while the camera is open. If the
 * browser refuses, as in private windows, they stay only in memory.
 */
export const photoStore = {
  /** Removes photos in drafts whose tab was closed over a day ago. */
  async of(draft: string): Promise<Photo[]> {
    const all = await inStore<Photo[]>('readonly', (store) => store.getAll()).catch(() => []);
    for (const { id, addedAtMs } of all) if (addedAtMs < Date.now() - keptMs) await photoStore.remove(id);
    return all.filter((photo) => photo.draft === draft).sort((one, other) => one.addedAtMs - other.addedAtMs);
  },
  add: (photo: Photo): Promise<unknown> => inStore('readwrite', (store) => store.put(photo)).catch(() => {}),
  remove: (id: string): Promise<unknown> => inStore('readwrite', (store) => store.delete(id)).catch(() => {}),
  clear: (): Promise<unknown> => inStore('readwrite', (store) => store.clear()).catch(() => {}),
};
