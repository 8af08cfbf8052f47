/** The site's JSON interface. */
import { ViewerError } from "./errors";
import type { BoxItem } from "./annotate/boxes";

export interface BundleEntry {
  id: string;
  name: string;
  version?: string;
  title: string;
  digest: string;
  size: number;
  task?: string;
  experimental: boolean;
  /** Ages at the time of the film whom it is for, both ends included; null: its card does not say. */
  ages_years?: [number, number] | null;
  findings: { name: string; title?: string; threshold: number | null; trust?: string | null }[];
  url: string;
}

export interface InstanceEntry {
  id: string;
  name: string;
  media_type: string;
  url: string;
  sha256: string;
  view_position: string | null;
  acquired: string | null;
}

export interface ReadingEntry {
  id: string;
  instance: string;
  engine: string;
  engine_version?: string;
  refused?: { reason: string; message: string } | null;
  refer?: boolean | null;
  verdict?: string;
  made_at?: string;
  made_by?: string | null;
  bundle: { digest: string; title: string; name: string; version?: string; experimental?: boolean };
  findings: StoredFinding[];
  maps_url?: string | null;
}

export interface StoredFinding {
  name: string;
  title?: string;
  probability: number;
  logit?: number;
  threshold?: number | null;
  positive: boolean | null;
  may_be_present?: boolean | null;
  may_be_absent?: boolean | null;
  entropy?: number | null;
  trust?: string;
  boxes?: [number, number, number, number][];
}

export interface Decision {
  finding: string;
  reading: string;
  decision: "accept" | "edit" | "reject";
  finding_after: string | null;
  note: string;
  author?: unknown;
  own?: boolean;
}

export interface NoteEntry {
  id?: string;
  text: string;
  author?: unknown;
  created?: string;
}

export type BoxEntry = BoxItem & { author?: unknown; own?: boolean; read_only?: boolean; mine?: boolean };

export interface CaseEntry {
  id: string;
  title: string;
  patient: { id: string; label: string; age_years?: number | null };
  version: number;
  boxes_version?: number;
  read_first: boolean;
  revealed: boolean;
  instances: InstanceEntry[];
  priors: { case: string; date: string; instances: InstanceEntry[] }[];
  readings: ReadingEntry[];
  boxes: BoxEntry[] | { version: number; boxes: BoxEntry[] };
  notes: NoteEntry[];
  decisions: Decision[];
  findings: (string | { name: string; title: string })[];
  permissions: string[];
}

/** The server answered, and said no. */
export class Refused extends ViewerError {
  constructor(message: string, readonly status: number, readonly body: unknown) {
    super(message, `http-${status}`);
  }
}

/** The server could not be reached. */
export class Unreachable extends ViewerError {
  constructor() {
    super("The server cannot be reached.", "offline");
  }
}

export class Api {
  constructor(readonly base: string, private readonly csrf: string) {}

  get<T>(path: string): Promise<T> {
    return this.send("GET", path);
  }

  async send<T>(method: string, path: string, body?: unknown): Promise<T> {
    const headers: Record<string, string> = { Accept: "application/json" };
    if (method !== "GET") headers["X-CSRFToken"] = this.csrf;
    const form = body instanceof FormData;
    if (body !== undefined && !form) headers["Content-Type"] = "application/json";
    const response = await this.fetch(path, { method, headers, body: body === undefined ? undefined : form ? body : JSON.stringify(body) });
    const text = await response.text();
    return (text ? JSON.parse(text) : null) as T;
  }

  async bytes(url: string): Promise<ArrayBuffer> {
    return (await this.fetch(url, { method: "GET" })).arrayBuffer();
  }

  private async fetch(path: string, init: RequestInit): Promise<Response> {
    const url = path.startsWith("/") || path.startsWith("http") ? path : `${this.base}/${path}`;
    let response: Response;
    try {
      response = await fetch(url, { ...init, credentials: "same-origin" });
    } catch {
      throw new Unreachable();
    }
    if (response.ok) return response;
    if (response.status >= 502 && response.status <= 504) throw new Unreachable();
    const body = (await response.json().catch(() => null)) as { error?: { message?: string; hint?: string } } | null;
    const said = [body?.error?.message, body?.error?.hint].filter(Boolean).join(" ");
    throw new Refused(said || `The server refused (${response.status}).`, response.status, body);
  }
}
