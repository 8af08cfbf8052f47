/** What the page tells the viewer, in `<script type="application/json" id="viewer-config">`. */
export interface ViewerConfig {
  mode: "case" | "quicklook";
  /** Base address of the JSON interface. */
  api: string;
  case?: string;
  csrf: string;
  bundles_url: string;
  /** Whether films are read in the browser only, unless a person consents otherwise. */
  private: boolean;
  language?: string;
  /** Translations of the viewer's words, by the English ones. */
  strings?: Record<string, string>;
  /** Who reads, to keep drafts of several people on one machine apart. */
  user?: string;
  /** Seals that person's drafts, base64; without it they are not kept. */
  draft_key?: string;
  /** Forces a way of painting, for tests. */
  painter?: "auto" | "webgl" | "canvas";
}

export function readConfig(): ViewerConfig {
  const text = document.getElementById("viewer-config")?.textContent;
  if (!text) throw new Error("the page lacks its viewer-config");
  return JSON.parse(text) as ViewerConfig;
}
