/** Unsent annotations in the browser's store, sealed under a key that the site tells their author only: nobody else at this machine reads them. */
import { forget, keep, recall } from "../store";

interface Sealed {
  nonce: Uint8Array<ArrayBuffer>;
  sealed: ArrayBuffer;
}

export class Drafts<T> {
  private readonly key: Promise<CryptoKey> | null;
  private last: Promise<void> = Promise.resolve();

  /** `key` is base64; without one, or where the page did not come securely, nothing is kept. */
  constructor(private readonly place: string, key: string | undefined) {
    const subtle = globalThis.crypto?.subtle;
    this.key = key && subtle ? subtle.importKey("raw", bytesOf(key), "AES-GCM", false, ["encrypt", "decrypt"]) : null;
  }

  /** Whether what is not sent yet outlives this page. */
  get kept(): boolean {
    return this.key !== null;
  }

  /** Keep a draft in place of the former. */
  async put(draft: T): Promise<void> {
    if (!this.key) return;
    const plain = new TextEncoder().encode(JSON.stringify(draft));
    await this.inTurn(async () => {
      const nonce = crypto.getRandomValues(new Uint8Array(12));
      const sealed = await crypto.subtle.encrypt(this.sealing(nonce), await this.key!, plain);
      await keep("drafts", this.place, { nonce, sealed } satisfies Sealed);
    });
  }

  /** What was put last; undefined where there is nothing, or nothing that this key opens. */
  async get(): Promise<T | undefined> {
    const found = this.key ? await recall<Sealed>("drafts", this.place) : undefined;
    if (!found || !this.key) return undefined;
    const plain = await crypto.subtle.decrypt(this.sealing(found.nonce), await this.key, found.sealed);
    return JSON.parse(new TextDecoder().decode(plain)) as T;
  }

  async remove(): Promise<void> {
    await this.inTurn(() => forget("drafts", this.place));
  }

  /** Sealing takes a moment: what was asked for first is done first. */
  private inTurn(act: () => Promise<void>): Promise<void> {
    const done = this.last.then(act);
    this.last = done.catch(() => undefined);
    return done;
  }

  private sealing(nonce: Uint8Array<ArrayBuffer>): AesGcmParams {
    return { name: "AES-GCM", iv: nonce, additionalData: new TextEncoder().encode(this.place) };
  }
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
