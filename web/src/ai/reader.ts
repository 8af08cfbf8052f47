/** Readings: which model, where it runs, what it said. In private mode nothing of a film is sent. */
import type { Api, BundleEntry, ReadingEntry } from "../api";
import { messageOf, ViewerError } from "../errors";
import type { Loaded, ReadResult } from "../model/infer";
import type { Film } from "../pixels/film";
import { Remote } from "../rpc";
import { t } from "../strings";
import { fromBrowser, fromQuickAnswer, fromServer, withMaps, type QuickAnswer, type ShownReading } from "./shown";

const ADULT = 18;

export type Phase = "idle" | "loading" | "reading" | "done" | "failed";

export class Reader {
  bundles: BundleEntry[] = [];
  chosen: BundleEntry | null = null;
  phase: Phase = "idle";
  progress: { done: number; total: number; what: string } = { done: 0, total: 0, what: "" };
  failure = "";
  /** Whether the failure was of this browser, so that the server may be offered. */
  browserFailed = false;
  shown: ShownReading | null = null;
  readings: ShownReading[] = [];
  onChange: () => void = () => {};
  private turn = 0;
  private readonly remote = new Remote(() => new Worker(new URL("../model/infer.ts", import.meta.url), { type: "module", name: "model" }));

  constructor(private readonly api: Api, private readonly bundlesUrl: string) {}

  async list(): Promise<void> {
    try {
      const all = await this.api.get<BundleEntry[]>(this.bundlesUrl);
      this.bundles = all.filter((each) => (each.task ?? "classification") === "classification");
      this.chosen ??= this.bundles[0] ?? null;
      if (!this.bundles.length) this.fail(new ViewerError(t("No model is installed. An administrator can add one.")));
    } catch (error) {
      this.fail(error);
    }
    this.onChange();
  }

  /** Offer first what is made for this age; where that is not known, what is made for adults. */
  prefer(age: number | null | undefined): void {
    const years = age ?? ADULT;
    const suits = (each: BundleEntry) => !!each.ages_years && each.ages_years[0] <= years && years <= each.ages_years[1];
    this.chosen = this.bundles.find(suits) ?? this.bundles.find((each) => !each.ages_years) ?? this.bundles[0] ?? null;
    this.onChange();
  }

  choose(digest: string): void {
    this.chosen = this.bundles.find((each) => each.digest === digest) ?? this.chosen;
    this.onChange();
  }

  /** Load the model ahead of time, quietly. */
  async warm(): Promise<void> {
    if (!this.chosen) return;
    const { digest, url } = this.chosen;
    await this.remote.call<Loaded>("load", { digest, url: absolute(url) }).catch(() => undefined);
  }

  /** Read a film in this browser: nothing of it is sent. */
  async readHere(film: Film, instance: string): Promise<void> {
    const entry = this.chosen;
    if (!entry) return;
    const turn = this.begin("loading");
    try {
      const { width, height, pattern, table } = film;
      const argument = { digest: entry.digest, url: absolute(entry.url), film: { width, height, pattern, table } };
      const result = await this.remote.call<ReadResult>("read", argument, {
        progress: (done, total, what) => {
          this.progress = { done, total, what };
          if (turn === this.turn) this.onChange();
        },
      });
      this.end(turn, fromBrowser(result, entry, instance));
    } catch (error) {
      if (turn === this.turn) this.fail(error, true);
    }
  }

  /** Read a film of a case on the server, with consent. */
  async readOnServer(caseId: string, instance: string): Promise<void> {
    const entry = this.chosen;
    if (!entry) return;
    const turn = this.begin("reading");
    try {
      const path = `cases/${caseId}/readings/server`;
      let answer = await this.api.send<ReadingEntry & { run?: string }>("POST", path, { instance, bundle: entry.digest });
      for (let wait = 0; answer.run && !answer.id && wait < 60; wait++) {
        await new Promise((resolve) => setTimeout(resolve, 1000));
        answer = await this.api.send("POST", path, { instance, bundle: entry.digest });
      }
      if (!answer.id) throw new ViewerError(t("The server is still reading. Open the case again later."));
      const reading = fromServer(answer);
      this.readings = [reading, ...this.readings.filter((each) => each.id !== reading.id)];
      this.end(turn, await this.mapped(reading));
    } catch (error) {
      if (turn === this.turn) this.fail(error);
    }
  }

  /** Send a film of a quick look to the server, with consent. */
  async quickOnServer(file: File): Promise<void> {
    const entry = this.chosen;
    if (!entry) return;
    const turn = this.begin("reading");
    try {
      const form = new FormData();
      form.append("film", file, "film");
      form.append("bundle", entry.digest);
      const answer = await this.api.send<QuickAnswer>("POST", "quicklook/server", form);
      this.end(turn, fromQuickAnswer(answer));
    } catch (error) {
      if (turn === this.turn) this.fail(error);
    }
  }

  /** Show a reading that is kept, with its maps. */
  async open(reading: ShownReading): Promise<void> {
    this.shown = reading;
    this.phase = "done";
    this.onChange();
    const whole = await this.mapped(reading);
    if (this.shown === reading) {
      this.shown = whole;
      this.onChange();
    }
  }

  /** Forget what was shown, for another film. */
  clear(): void {
    this.turn++;
    this.shown = null;
    this.phase = "idle";
    this.failure = "";
    this.onChange();
  }

  private async mapped(reading: ShownReading): Promise<ShownReading> {
    if (reading.maps || !reading.mapsUrl) return reading;
    try {
      const whole = withMaps(reading, await this.api.bytes(reading.mapsUrl));
      this.readings = this.readings.map((each) => (each === reading ? whole : each));
      return whole;
    } catch {
      return reading;
    }
  }

  private begin(phase: Phase): number {
    this.phase = phase;
    this.failure = "";
    this.browserFailed = false;
    this.progress = { done: 0, total: 0, what: "" };
    this.onChange();
    return ++this.turn;
  }

  private end(turn: number, reading: ShownReading): void {
    if (turn !== this.turn) return;
    this.shown = reading;
    this.phase = "done";
    this.onChange();
  }

  private fail(error: unknown, browser = false): void {
    this.failure = messageOf(error);
    this.browserFailed = browser;
    this.phase = "failed";
    this.onChange();
  }
}

function absolute(url: string): string {
  return new URL(url, document.baseURI).href;
}

/** What is sent when a browser's reading is kept: numbers, no pixels. */
export function readingBody(reading: ShownReading): unknown {
  const order = reading.card?.findings.map((each) => each.name) ?? [];
  const inOrder = [...reading.findings].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  return {
    instance: reading.instance,
    bundle_digest: reading.digest,
    engine: "browser",
    engine_version: reading.engine,
    refused: reading.refusal,
    findings: inOrder.map(({ name, logit, probability, positive }) => ({ name, logit, probability, positive })),
    uncertainty: {
      refer: reading.refer,
      entropy: inOrder.map((each) => each.entropy),
      may_be_present: inOrder.map((each) => each.mayBePresent),
      may_be_absent: inOrder.map((each) => each.mayBeAbsent),
    },
    pixels_sha256: reading.pixelsSha256,
    self_test: reading.selfTest,
  };
}
