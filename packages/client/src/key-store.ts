import { generateKeyPair, type KeyPair } from 'dpop';

/** The parts of IndexedDB that we use. The types for Node.js lack them. */
type DatabaseRequest = { result: unknown; error: unknown; onsuccess: () => void; onerror: () => void };
type Store = { get(key: string): DatabaseRequest; put(value: unknown, key: string): DatabaseRequest };
type Database = { createObjectStore(name: string): void; transaction(name: string, mode: string): Transaction };
type Transaction = { objectStore(name: string): Store };
type OpenRequest = DatabaseRequest & { onupgradeneeded: () => void };

const storeName = 'keys';

const done = <T>(request: DatabaseRequest): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result as T);
    request.onerror = () => reject(request.error);
  });

/**
 * Returns this installation's key pair, with a private key that cannot be exported. Browsers keep it in IndexedDB for
 * all tabs of an origin. Elsewhere it lasts as long as the process.
 */
export async function installationKey(): Promise<KeyPair> {
  const fresh = await generateKeyPair('ES256', { extractable: false });
  const { indexedDB } = globalThis as unknown as { indexedDB?: { open(name: string): OpenRequest } };
  if (indexedDB === undefined) return fresh;
  const opening = indexedDB.open('countersign');
  opening.onupgradeneeded = () => (opening.result as Database).createObjectStore(storeName);
  const database = await done<Database>(opening);
  // One transaction, so that two tabs that start at the same time use the same key.
  const store = database.transaction(storeName, 'readwrite').objectStore(storeName);
  const known = await done<KeyPair | undefined>(store.get('dpop'));
  if (known !== undefined) return known;
  await done(store.put(fresh, 'dpop'));
  return fresh;
}
