/** Saving by itself: every change goes, sealed, to the browser's store at once and to the server soon. Nothing is lost. */
import { Refused, Unreachable, type Api, type BoxEntry } from "../api";
import { messageOf } from "../errors";
import { uuid } from "../ui/dom";
import type { Boxes, BoxItem, OthersBox } from "./boxes";
import { Drafts } from "./drafts";
import { merge, sameAll, type Clash } from "./merge";

export type SaveState = "saved" | "unsaved" | "saving" | "offline" | "conflict" | "failed";

/** Something to be sent once: a note, a decision. */
export interface Errand {
  id: string;
  method: "POST" | "PUT";
  path: string;
  body: unknown;
}

interface Draft {
  version: number;
  base: BoxItem[];
  boxes: BoxItem[];
  clashes: Clash[];
  errands: Errand[];
  /** Ids that the server gave to what was sent, by the errand's id. */
  given: Record<string, string>;
  noteText: string;
}

/** Stands in an errand for the id that the server will give to what an earlier errand sends. */
export const pendingId = (errand: string) => `pending:${errand}`;

const SOON_MS = 700;
const AGAIN_MS = 5000;

export class Sync {
  state: SaveState = "saved";
  /** What the server said where it refused. */
  problem = "";
  clashes: Clash[] = [];
  noteText = "";
  onChange: () => void = () => {};
  /** Called when an errand arrived, with the server's answer. */
  onSent: (errand: Errand, answer: unknown) => void = () => {};
  private version = 0;
  private base: BoxItem[] = [];
  private errands: Errand[] = [];
  private given: Record<string, string> = {};
  private timer = 0;
  private running = false;
  private readonly drafts: Drafts<Draft>;

  constructor(private readonly api: Api, private readonly caseId: string, private readonly boxes: Boxes, user: string, draftKey?: string) {
    this.drafts = new Drafts(`case:${caseId}:${user}`, draftKey);
    boxes.listeners.push((changed) => changed && this.touched());
    window.addEventListener("online", () => void this.save());
    window.addEventListener("beforeunload", (event) => {
      if (this.state !== "saved" && !(this.state === "offline" && this.drafts.kept)) event.preventDefault();
    });
  }

  /** Take what the server has, and put on it what this browser still holds unsaved. */
  async start(version: number, own: BoxItem[], others: OthersBox[]): Promise<void> {
    this.version = version;
    this.base = own;
    const draft = await this.drafts.get().catch(() => undefined);
    if (!draft) {
      this.boxes.load(own, others);
      return;
    }
    const merged = merge(draft.base, draft.boxes, own);
    this.boxes.load(merged.boxes, others);
    const open = draft.clashes.filter((clash) => !merged.clashes.some((each) => each.id === clash.id));
    this.clashes = [...merged.clashes, ...open];
    this.errands = draft.errands ?? [];
    this.given = draft.given ?? {};
    this.noteText = draft.noteText ?? "";
    if (this.pending) this.touched();
    this.tell(this.clashes.length ? "conflict" : this.state);
  }

  /** Send something once, however long that takes; returns the errand's id. */
  send(errand: Omit<Errand, "id">): string {
    const id = uuid();
    this.errands.push({ ...errand, id });
    this.touched();
    return id;
  }

  /** Keep the text of a note that was not sent yet. */
  keepNote(text: string): void {
    this.noteText = text;
    void this.store();
  }

  /** Whether what is not sent yet outlives this page. */
  get kept(): boolean {
    return this.drafts.kept;
  }

  get pending(): boolean {
    return this.errands.length > 0 || !sameAll(this.boxes.own, this.base);
  }

  /** Decide a clash: keep mine, take theirs, or keep both. */
  resolve(id: string, choice: "mine" | "theirs" | "both"): void {
    const clash = this.clashes.find((each) => each.id === id);
    if (!clash) return;
    this.clashes = this.clashes.filter((each) => each !== clash);
    if (choice !== "mine") {
      const rest = this.boxes.own.filter((each) => each.id !== id);
      const copy = choice === "both" && clash.mine ? [{ ...clash.mine, id: uuid() }] : [];
      this.boxes.replace([...rest, ...(clash.theirs ? [clash.theirs] : []), ...copy]);
    }
    this.touched();
  }

  private touched(): void {
    this.tell(this.clashes.length ? "conflict" : this.state === "offline" ? "offline" : "unsaved");
    void this.store();
    this.later(SOON_MS);
  }

  private later(delay: number): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.save(), delay);
  }

  /** Save now. */
  async save(): Promise<void> {
    if (this.running || this.clashes.length || !this.pending) return;
    clearTimeout(this.timer);
    this.running = true;
    this.tell("saving");
    try {
      await this.saveBoxes();
      await this.sendErrands();
      this.tell(this.clashes.length ? "conflict" : this.pending ? "unsaved" : "saved");
    } catch (error) {
      this.problem = messageOf(error);
      this.tell(error instanceof Unreachable ? "offline" : "failed");
      this.later(AGAIN_MS);
    } finally {
      this.running = false;
      await this.store();
      if (this.state === "unsaved") this.later(SOON_MS);
    }
  }

  private async saveBoxes(): Promise<void> {
    const sent = [...this.boxes.own];
    if (sameAll(sent, this.base)) return;
    try {
      const answer = await this.api.send<{ version: number; boxes: BoxEntry[] }>("PUT", `cases/${this.caseId}/boxes`, { version: this.version, boxes: sent });
      this.version = answer.version;
      this.base = sent;
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 409) throw error;
      this.conflict((error.body as { current?: { version: number; boxes: BoxEntry[] } } | null)?.current);
    }
  }

  private conflict(current: { version: number; boxes: BoxEntry[] } | undefined): void {
    if (!current) throw new Refused("The server has a newer version that it did not send. Reload the page; nothing is lost.", 409, null);
    const { own, others } = parted(current.boxes);
    const merged = merge(this.base, this.boxes.own, own);
    this.version = current.version;
    this.base = own;
    this.clashes = merged.clashes;
    this.boxes.replace(merged.boxes, others);
  }

  private async sendErrands(): Promise<void> {
    while (this.errands.length) {
      const errand = this.errands[0];
      const answer = await this.api.send<{ id?: string } | null>(errand.method, errand.path, this.filled(errand.body));
      if (answer?.id) this.given[errand.id] = answer.id;
      this.errands.shift();
      await this.store();
      this.onSent(errand, answer);
    }
  }

  private filled(body: unknown): unknown {
    return JSON.parse(JSON.stringify(body ?? null), (_, value: unknown) => {
      const wanted = typeof value === "string" && value.startsWith("pending:") ? this.given[value.slice(8)] : undefined;
      return wanted ?? value;
    });
  }

  private async store(): Promise<void> {
    const empty = !this.pending && !this.clashes.length && !this.noteText;
    const draft: Draft = {
      version: this.version, base: this.base, boxes: [...this.boxes.own], clashes: this.clashes, errands: this.errands, given: this.given, noteText: this.noteText,
    };
    await (empty ? this.drafts.remove() : this.drafts.put(draft)).catch(() => undefined);
  }

  private tell(state: SaveState): void {
    this.state = state;
    this.onChange();
  }
}

/** Part the server's boxes into one's own and the others'. */
export function parted(entries: BoxEntry[]): { own: BoxItem[]; others: OthersBox[] } {
  const own: BoxItem[] = [];
  const others: OthersBox[] = [];
  for (const entry of entries) {
    const item: BoxItem = {
      id: entry.id, instance: entry.instance, finding: entry.finding, box: [...entry.box], certainty: entry.certainty ?? null,
      note: entry.note ?? "", source: entry.source ?? "reader",
    };
    const mine = entry.own ?? entry.mine ?? !(entry.read_only ?? false);
    if (mine) own.push(item);
    else others.push({ ...item, author: nameOf(entry.author) });
  }
  return { own, others };
}

/** An author as a name: the server may send a name, or an object with one. */
export function nameOf(author: unknown): string {
  if (typeof author === "string") return author;
  const named = author as { name?: string; label?: string; username?: string } | null | undefined;
  return named?.name ?? named?.label ?? named?.username ?? "";
}
