/** The model's reading: hidden until asked for, explained, and decided by a person finding by finding. */
import type { BundleEntry, Decision } from "../api";
import type { Reader } from "../ai/reader";
import type { ShownFinding, ShownReading } from "../ai/shown";
import { shown as keyName, type Keys } from "../keys";
import { day, number, percent, t } from "../strings";
import { fill, h } from "./dom";
import type { HeatControl } from "./heat_control";
import { icon } from "./icons";

export interface ReadingActions {
  /** Whether the model may be shown yet. */
  revealed(): boolean;
  /** Whether an own opinion comes first. */
  readFirst(): boolean;
  reveal(opinion: { finding: string; certainty: number }[]): Promise<void>;
  readHere(): void;
  readOnServer(): void;
  keep: (() => void) | null;
  decide: ((finding: ShownFinding, decision: Decision["decision"], after: string | null, note: string) => void) | null;
  decisionOf(finding: string): Decision | undefined;
  findings(): { name: string; title: string }[];
}

export class ReadingPanel {
  readonly element = h("div", { class: "lr-reading" });
  private editing: string | null = null;
  private opinion: { finding: string; certainty: number }[] = [];
  private problem = "";

  constructor(
    private readonly reader: Reader, private readonly heat: HeatControl, private readonly keys: Keys, private readonly actions: ReadingActions,
  ) {}

  draw(): void {
    const held = document.activeElement instanceof HTMLElement && this.element.contains(document.activeElement)
      ? document.activeElement.dataset.focus : undefined;
    fill(this.element, ...this.parts());
    if (held) this.element.querySelector<HTMLElement>(`[data-focus="${CSS.escape(held)}"]`)?.focus();
  }

  private parts(): (Node | null)[] {
    if (!this.actions.revealed()) return this.actions.readFirst() ? this.readFirst() : this.hidden();
    return [this.model(), this.state(), this.result(), this.kept()];
  }

  private hidden(): Node[] {
    return [
      h("p", { class: "lr-quiet" }, t("The model's reading is hidden, so that you look first.")),
      this.button("reveal", t("Show the model's reading"), () => void this.actions.reveal([]), "lr-primary", keyName(this.keys.of("reveal"))),
    ];
  }

  private readFirst(): Node[] {
    const left = this.actions.findings().filter((each) => !this.opinion.some((own) => own.finding === each.name));
    const rows = this.opinion.map((own) => this.opinionRow(own));
    const add = h("select", {
      "data-focus": "opinion-add",
      onchange: () => {
        if (add.value) this.opinion.push({ finding: add.value, certainty: 0.75 });
        this.draw();
      },
    }, h("option", { value: "" }, t("Add a finding that you see")), ...left.map((each) => h("option", { value: each.name }, each.title)));
    add.setAttribute("aria-label", t("Add a finding that you see"));
    return [
      h("h3", {}, t("Your reading first")),
      h("p", { class: "lr-quiet" }, t("Say what you see before the model does. Your first opinion is kept and cannot be changed afterwards.")),
      h("ul", { class: "lr-opinion" }, ...rows),
      add,
      this.problem ? h("p", { class: "lr-problem", role: "alert" }, this.problem) : h("span", {}),
      this.button("lock", this.opinion.length ? t("Lock my opinion and reveal") : t("I see none of these: lock and reveal"), () => void this.lock(), "lr-primary"),
    ];
  }

  private opinionRow(own: { finding: string; certainty: number }): HTMLElement {
    const title = this.titleOf(own.finding);
    const output = h("output", {}, percent(own.certainty));
    const input = h("input", {
      type: "range", min: "0", max: "100", step: "5", value: String(own.certainty * 100), "data-focus": `opinion-${own.finding}`,
      oninput: () => {
        own.certainty = Number(input.value) / 100;
        output.textContent = percent(own.certainty);
      },
    });
    input.setAttribute("aria-label", t("Certainty of {title}", { title }));
    const remove = this.button(`drop-${own.finding}`, "", () => {
      this.opinion = this.opinion.filter((each) => each !== own);
      this.draw();
    }, "lr-icon");
    remove.append(icon("close"));
    remove.setAttribute("aria-label", t("Remove {title}", { title }));
    return h("li", {}, h("span", {}, title), input, output, remove);
  }

  private async lock(): Promise<void> {
    try {
      await this.actions.reveal(this.opinion);
      this.problem = "";
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
    }
    this.draw();
  }

  private model(): Node | null {
    const { reader } = this;
    const entry = reader.chosen;
    if (!entry) return null;
    const busy = reader.phase === "loading" || reader.phase === "reading";
    const choice = reader.bundles.length > 1
      ? h("div", {}, h("label", { class: "lr-field" }, h("span", {}, t("Model")), h(
          "select", { "data-focus": "model", disabled: busy, onchange: (event: Event) => reader.choose((event.target as HTMLSelectElement).value) },
          ...reader.bundles.map((each) => h("option", { value: each.digest, selected: each === entry }, calledModel(each))),
        )), h("p", { class: "lr-quiet" }, entry.title))
      : h("div", {}, h("p", { class: "lr-model" }, calledModel(entry)), h("p", { class: "lr-quiet" }, entry.title));
    const again = reader.shown?.digest === entry.digest && reader.shown.maps !== null;
    return h(
      "div", { class: "lr-run" }, choice,
      this.button("read", again ? t("Read again") : t("Read this film here"), () => this.actions.readHere(), again ? "" : "lr-primary", undefined, busy),
      h("p", { class: "lr-private" }, t("Private: the film stays in this browser. Only the model is fetched.")),
      reader.phase === "failed" && reader.browserFailed
        ? null // the failure offers it
        : this.button("choose-server", t("Read on the server instead"), () => this.actions.readOnServer(), "lr-link", undefined, busy),
    );
  }

  private state(): Node {
    const { reader } = this;
    const status = h("div", { class: "lr-status", role: "status" });
    if (reader.phase === "loading" || reader.phase === "reading") {
      const { done, total, what } = reader.progress;
      const words: Record<string, string> = {
        model: t("Fetching the model"), engine: t("Fetching the engine"), "self-test": t("Self-test on the model's own images"), reading: t("Reading"), "": t("Preparing"),
      };
      const size = total ? ` ${number(done / 1e6, 1)} / ${number(total / 1e6, 1)} MB` : "";
      const bar = h("progress", total ? { max: total, value: done } : {});
      bar.setAttribute("aria-label", words[what] ?? what);
      fill(status, h("p", {}, `${words[what] ?? what}${size}`), bar);
    } else if (reader.phase === "failed") {
      fill(status, h("p", { class: "lr-problem" }, reader.failure), reader.browserFailed
        ? this.button("server", t("Read on the server instead (sends the film)"), () => this.actions.readOnServer())
        : null);
    }
    return status;
  }

  private result(): Node | null {
    const reading = this.reader.shown;
    if (!reading || (this.reader.phase !== "done" && this.reader.phase !== "failed")) return null;
    return h(
      "section", { class: "lr-result", "aria-label": t("Reading") },
      this.verdict(reading),
      reading.refusal ? null : h("ul", { class: "lr-findings" }, ...reading.findings.map((finding) => this.finding(reading, finding))),
      reading.gaze ? this.gaze(reading.gaze) : null,
      this.identity(reading),
    );
  }

  private verdict(reading: ShownReading): Node {
    if (reading.refusal) {
      return h("div", { class: "lr-verdict lr-none", role: "alert" }, icon("warn"), h("div", {},
        h("strong", {}, t("No reliable result")), h("p", {}, t(reading.refusal.message)), h("p", { class: "lr-quiet" }, t("What the model computed is not shown."))));
    }
    const called = reading.findings.filter((each) => each.positive);
    if (reading.refer) {
      return h("div", { class: "lr-verdict lr-none" }, icon("warn"), h("div", {},
        h("strong", {}, t("No reliable result: the model is unsure.")), h("p", {}, t("By its own rule this film goes to a person."))));
    }
    const words = called.length
      ? t("Called present: {findings}.", { findings: called.map((each) => each.title).join(t(", ")) })
      : t("None of the findings that this model judges is called present. That does not make the film normal.");
    return h("p", { class: `lr-verdict ${called.length ? "lr-called" : ""}` }, words);
  }

  private finding(reading: ShownReading, finding: ShownFinding): Node {
    const selected = this.heat.finding === finding.name;
    const painted = selected && this.heat.on;
    const decision = this.actions.decisionOf(finding.name);
    const map = this.button(`map-${finding.name}`, "", () => this.heat.show(finding.name, !painted), "lr-icon", undefined, !reading.maps && !reading.mapsUrl);
    map.append(icon("heat"));
    map.setAttribute("aria-pressed", String(painted));
    map.setAttribute("aria-label", t("Heat map of {title}", { title: finding.title }));
    map.title = t("Heat map ({key})", { key: keyName(this.keys.of("heat")) });
    const name = this.button(`name-${finding.name}`, finding.title, () => this.heat.show(finding.name, this.heat.on), "lr-name");
    name.setAttribute("aria-expanded", String(selected));
    return h(
      "li", { class: `lr-finding${selected ? " lr-open" : ""}${finding.positive ? " lr-positive" : ""}${reading.refer ? " lr-unsure" : ""}` },
      h("div", { class: "lr-finding-head" }, name, h("span", { class: "lr-call" }, callOf(finding)), map),
      this.meter(finding, reading),
      decision ? h("p", { class: `lr-decision lr-${decision.decision}` }, this.decisionWords(decision)) : null,
      selected ? this.details(reading, finding) : null,
    );
  }

  private gaze(gaze: ShownFinding): Node {
    const painted = this.heat.finding === gaze.name && this.heat.on;
    const map = this.button("map-gaze", gaze.title, () => this.heat.show(gaze.name, !painted));
    map.setAttribute("aria-pressed", String(painted));
    return h("div", { class: "lr-gaze" }, map, h("p", { class: "lr-quiet" }, [t("Predicted, not measured on this film."), gaze.trust].filter(Boolean).join(" ")));
  }

  private meter(finding: ShownFinding, reading: ShownReading): Node {
    const fillBar = h("span", { class: "lr-meter-fill" });
    fillBar.style.inlineSize = `${finding.probability * 100}%`;
    const bar = h("span", { class: "lr-meter", role: "img" }, fillBar);
    const parts = [t("probability {p}", { p: percent(finding.probability) })];
    if (finding.threshold !== null) {
      const tick = h("span", { class: "lr-tick" });
      tick.style.insetInlineStart = `${finding.threshold * 100}%`;
      bar.append(tick);
      parts.push(t("called from {p}", { p: percent(finding.threshold) }));
    }
    bar.setAttribute("aria-label", parts.join(", "));
    const label = reading.calibrated ? t("calibrated") : t("not calibrated");
    return h("div", { class: "lr-meter-row" }, bar, h("span", { class: "lr-p", title: label }, percent(finding.probability)));
  }

  private details(reading: ShownReading, finding: ShownFinding): Node {
    const facts: string[] = [];
    if (finding.threshold !== null) facts.push(t("Called present from {p}.", { p: percent(finding.threshold) }));
    facts.push(reading.calibrated ? t("Probability calibrated on validation films.") : t("Probability not calibrated."));
    if (finding.mayBePresent && finding.mayBeAbsent) facts.push(t("Both present and absent are plausible: the model cannot tell."));
    else if (finding.mayBePresent === false && finding.mayBeAbsent === false) facts.push(t("Neither present nor absent is plausible: the film is unlike both."));
    return h(
      "div", { class: "lr-details" }, h("p", { class: "lr-quiet" }, facts.join(" ")),
      this.decide(finding), reading.maps || reading.mapsUrl ? this.heat.controls() : h("p", { class: "lr-quiet" }, t("Read the film here to see where the model looked.")),
    );
  }

  private decide(finding: ShownFinding): Node | null {
    const { decide } = this.actions;
    if (!decide) return null;
    const decision = this.actions.decisionOf(finding.name)?.decision;
    const choice = (kind: Decision["decision"], label: string, key: string | undefined, act: () => void) => {
      const button = this.button(`${kind}-${finding.name}`, label, act, `lr-choice lr-${kind}`, key);
      button.setAttribute("aria-pressed", String(decision === kind));
      return button;
    };
    return h("div", {}, h("div", { class: "lr-choices", role: "group", "aria-label": t("Your decision on {title}", { title: finding.title }) },
      choice("accept", t("Accept"), keyName(this.keys.of("accept")), () => decide(finding, "accept", null, "")),
      choice("edit", t("Edit"), undefined, () => {
        this.editing = this.editing === finding.name ? null : finding.name;
        this.draw();
      }),
      choice("reject", t("Reject"), keyName(this.keys.of("reject")), () => decide(finding, "reject", null, "")),
    ), this.editing === finding.name ? this.editForm(finding) : null);
  }

  private editForm(finding: ShownFinding): Node {
    const { decide } = this.actions;
    const known = this.actions.decisionOf(finding.name);
    const chosen = known?.finding_after ?? finding.name;
    const select = h("select", { "data-focus": "after" }, ...this.actions.findings().map((each) => h("option", { value: each.name, selected: each.name === chosen }, each.title)));
    const note = h("input", { type: "text", maxLength: 500, value: known?.note ?? "", "data-focus": "after-note" });
    return h("form", {
      class: "lr-edit-form",
      onsubmit: (event: Event) => {
        event.preventDefault();
        this.editing = null;
        decide?.(finding, "edit", select.value, note.value.trim());
      },
    },
      h("label", { class: "lr-field" }, h("span", {}, t("It is rather")), select),
      h("label", { class: "lr-field" }, h("span", {}, t("Note")), note),
      h("button", { type: "submit", class: "lr-button lr-primary" }, t("Save the edit")));
  }

  private decisionWords(decision: Decision): string {
    if (decision.decision === "accept") return t("You accepted this.");
    if (decision.decision === "reject") return t("You rejected this.");
    const after = decision.finding_after ? this.titleOf(decision.finding_after) : "";
    return [t("You edited this: {title}.", { title: after }), decision.note].filter(Boolean).join(" ");
  }

  private identity(reading: ShownReading): Node {
    const where = reading.source === "browser" ? t("read in a browser") : t("read on the server");
    const test = reading.selfTest;
    const lines = [
      `${reading.title} · ${reading.digest.slice(0, 12)}`,
      [where, reading.engine, day(reading.made), reading.by].filter(Boolean).join(" · "),
      test ? t("Self-test passed on {n} images: probabilities within {p}, maps within {m}.", { n: test.images, p: test.probability_difference.toExponential(0), m: test.map_difference.toExponential(0) }) : "",
      reading.milliseconds ? t("Explained in {ms} ms.", { ms: number(reading.milliseconds) }) : "",
    ];
    const limits = reading.card ? h("details", {}, h("summary", {}, t("What this model is for, and its limits")),
      h("p", {}, reading.card.intended_use), h("p", {}, reading.card.limits)) : null;
    return h("footer", { class: "lr-identity" },
      reading.experimental ? h("p", { class: "lr-caution" }, t("Experimental: its performance is too low or too uncertain to rely on.")) : null,
      ...lines.filter(Boolean).map((line) => h("p", {}, line)), limits,
      this.actions.keep && reading.id === null ? this.button("keep", t("Keep this reading with the case"), this.actions.keep) : null,
      reading.id !== null ? h("p", { class: "lr-quiet" }, t("Kept with the case.")) : null);
  }

  private kept(): Node | null {
    const { readings, shown } = this.reader;
    const others = readings.filter((each) => each.id !== shown?.id);
    if (!others.length) return null;
    return h("section", { class: "lr-earlier" }, h("h3", {}, t("Kept readings")), h("ul", {}, ...others.map((each) =>
      h("li", {}, this.button(`open-${each.id}`, [each.title, day(each.made), each.by].filter(Boolean).join(" · "), () => void this.reader.open(each), "lr-link")))));
  }

  private titleOf(name: string): string {
    return this.actions.findings().find((each) => each.name === name)?.title ?? name;
  }

  private button(focus: string, label: string, act: () => void, kind = "", key?: string, disabled = false): HTMLButtonElement {
    const button = h("button", { type: "button", class: `lr-button ${kind}`, disabled, "data-focus": focus, onclick: act }, label);
    if (key) button.append(h("kbd", {}, key));
    return button;
  }
}

/** A model's short name; its whole title would be cut off in a list. */
function calledModel(entry: BundleEntry): string {
  const words = entry.name.replaceAll("-", " ");
  const name = words.charAt(0).toUpperCase() + words.slice(1);
  return entry.experimental ? t("{name} (experimental)", { name }) : name;
}

function callOf(finding: ShownFinding): string {
  if (finding.positive === true) return t("called present");
  if (finding.positive === false) return t("not called");
  return t("no operating point");
}
