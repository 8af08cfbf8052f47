/** What the browser keeps: model files by digest, and unsent annotations, sealed. Never a film. */

const NAME = "lucidray";
/** Drafts of version 1 were not sealed. */
const VERSION = 2;
const STORES = ["bundles", "drafts"] as const;
type Store = (typeof STORES)[number];

let opened: Promise<IDBDatabase> | null = null;

function database(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      const db = request.result;
      if (db.objectStoreNames.contains("drafts")) db.deleteObjectStore("drafts");
      STORES.filter((name) => !db.objectStoreNames.contains(name)).forEach((name) => db.createObjectStore(name));
    };
    request.onsuccess = () => {
      const db = request.result;
      db.onversionchange = () => {
        db.close();
        opened = null;
      };
      resolve(db);
    };
    request.onerror = () => reject(request.error ?? new Error("the browser's storage is closed"));
  });
  opened.catch(() => (opened = null));
  return opened;
}

async function run<T>(store: Store, mode: IDBTransactionMode, act: (objects: IDBObjectStore) => IDBRequest): Promise<T> {
  const db = await database();
  return new Promise<T>((resolve, reject) => {
    const transaction = db.transaction(store, mode);
    const request = act(transaction.objectStore(store));
    transaction.oncomplete = () => resolve(request.result as T);
    transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error("the browser could not store"));
  });
}

export const keep = (store: Store, key: string, value: unknown) => run<void>(store, "readwrite", (objects) => objects.put(value, key));
export const recall = <T>(store: Store, key: string) => run<T | undefined>(store, "readonly", (objects) => objects.get(key));
export const forget = (store: Store, key: string) => run<void>(store, "readwrite", (objects) => objects.delete(key));
export const keysOf = (store: Store) => run<string[]>(store, "readonly", (objects) => objects.getAllKeys());
