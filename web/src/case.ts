/** A case: its films and earlier ones, the model's reading, boxes, notes, decisions; all saved by itself. */
import { fromServer, type ShownFinding } from "./ai/shown";
import { readingBody } from "./ai/reader";
import { parted, pendingId, Sync } from "./annotate/sync";
import { type CaseEntry, type Decision, type InstanceEntry } from "./api";
import { App } from "./app";
import type { ViewerConfig } from "./config";
import { messageOf } from "./errors";
import { day, t } from "./strings";
import { fill, h } from "./ui/dom";
import { ask } from "./ui/help";
import { BoxesPanel } from "./ui/panel_boxes";
import { NotesPanel } from "./ui/panel_notes";
import { ReadingPanel } from "./ui/panel_reading";

const UNSAID = "Other Lesion";
const SIDE = "lucidray-prior-first";

export class CaseView {
  private readonly app: App;
  private readonly sync: Sync;
  private entry: CaseEntry;
  private revealed: boolean;
  private readonly decisions = new Map<string, Decision>();
  private readonly reading: ReadingPanel;
  private readonly boxesPanel: BoxesPanel;
  private readonly notesPanel: NotesPanel;
  private readonly opened = Date.now();
  /** Errands that keep a reading, by what was read. */
  private keeping = new Map<string, string>();

  static async open(root: HTMLElement, config: ViewerConfig): Promise<CaseView> {
    const app = new App(root, config);
    const entry = await app.api.get<CaseEntry>(`cases/${config.case}`);
    const sync = new Sync(app.api, entry.id, app.boxes, config.user ?? "", config.draft_key);
    const boxes = Array.isArray(entry.boxes) ? { version: entry.boxes_version ?? entry.version, boxes: entry.boxes } : entry.boxes;
    const { own, others } = parted(boxes?.boxes ?? []);
    await sync.start(boxes?.version ?? 0, own, others);
    return new CaseView(app, sync, entry);
  }

  private constructor(app: App, sync: Sync, entry: CaseEntry) {
    this.app = app;
    this.sync = sync;
    this.entry = entry;
    this.revealed = false;
    const may = entry.permissions.includes("case.read");
    for (const decision of entry.decisions ?? []) if (decision.own !== false) this.decisions.set(decision.finding, decision);
    for (const pane of app.panes) {
      pane.layer.titleOf = (name) => this.titleOf(name);
      pane.layer.nextFinding = this.firstName();
    }
    this.reading = new ReadingPanel(app.reader, app.heat, app.keys, {
      revealed: () => this.revealed,
      readFirst: () => entry.read_first && !this.entry.revealed,
      reveal: (opinion) => this.reveal(opinion),
      readHere: () => void this.readHere(),
      readOnServer: () => void this.readOnServer(),
      keep: may ? () => this.keep() : null,
      decide: may ? (finding, decision, after, note) => this.decide(finding, decision, after, note) : null,
      decisionOf: (finding) => this.decisions.get(finding),
      findings: () => this.findings(),
    });
    this.boxesPanel = new BoxesPanel(app.boxes, () => app.active.layer, sync, () => this.findings(), () => void app.active.layer.addInMiddle());
    this.notesPanel = new NotesPanel(entry.notes ?? [], sync, entry.id, may);
    app.setTabs([
      { id: "reading", title: t("Model"), content: this.reading.element },
      { id: "boxes", title: t("Boxes"), content: this.boxesPanel.element },
      { id: "notes", title: t("Notes"), content: this.notesPanel.element },
    ], "reading");
    this.connect(may);
    void this.begin();
  }

  private connect(may: boolean): void {
    const { app, sync } = this;
    for (const pane of app.panes) {
      pane.layer.onEdit = () => {
        app.openTab("boxes");
        this.boxesPanel.edit();
      };
      pane.layer.onPending = (waiting) => waiting && app.say(t("Now click the opposite corner; Esc to begin anew."));
    }
    app.panes[0].layer.editable = may;
    sync.onChange = () => {
      app.showSaving(sync);
      if (sync.clashes.length) app.openTab("boxes");
      this.boxesPanel.draw();
    };
    sync.onSent = (errand, answer) => this.sent(errand.id, answer);
    app.redrawPanels = () => {
      this.reading.draw();
      this.boxesPanel.draw();
    };
    app.onReveal = () => void (this.revealed || (this.entry.read_first && !this.entry.revealed) ? undefined : this.reveal([]));
    app.onDecide = (decision) => {
      const finding = app.heat.current;
      if (finding && may && this.revealed) this.decide(finding, decision, null, "");
    };
    app.canCompare = () => this.priors().length > 0;
    app.onCompare = (on) => void this.compare(on);
    app.showSaving(sync);
  }

  private async begin(): Promise<void> {
    this.drawStrip();
    const [first] = this.entry.instances;
    if (!first) {
      this.app.say(t("This case has no film."));
      return;
    }
    await this.showFilm(first);
    await this.app.reader.list();
    this.app.reader.prefer(this.entry.patient.age_years);
    this.app.reader.readings = (this.entry.readings ?? []).map(fromServer);
    if (this.app.config.private) void this.app.reader.warm();
    this.app.refresh();
  }

  private async showFilm(instance: InstanceEntry, pane = this.app.panes[0], date = instance.acquired): Promise<void> {
    const { app } = this;
    app.say(t("Opening {name}…", { name: instance.name }));
    try {
      const film = await app.films.at(instance.id, instance.url);
      const view = film.view ?? instance.view_position;
      app.show(pane, film, instance.id, [view, instance.name].filter(Boolean).join(" · "), day(date));
      if (pane === app.panes[0]) {
        if (app.reader.shown && app.reader.shown.instance !== instance.id) app.reader.clear();
        this.drawStrip();
      }
      app.say("");
      app.refresh();
    } catch (error) {
      app.say("");
      const again = h("button", { type: "button", class: "lr-button", onclick: () => {
        problem.remove();
        void this.showFilm(instance, pane, date);
      } }, t("Try again"));
      const problem = h("div", { class: "lr-film-problem", role: "alert" }, h("p", {}, t("{name} cannot be shown: {why}", { name: instance.name, why: messageOf(error) })), again);
      pane.port.clear();
      pane.port.element.append(problem);
    }
  }

  private priors(): { instance: InstanceEntry; date: string }[] {
    return this.entry.priors.flatMap((prior) => prior.instances.map((instance) => ({ instance, date: prior.date })));
  }

  private async compare(on: boolean): Promise<void> {
    const { app } = this;
    const [prior] = this.priors();
    app.setComparing(on);
    app.stage.classList.toggle("lr-prior-first", localStorage.getItem(SIDE) === "1");
    this.drawStrip();
    if (on && prior && !app.panes[1].port.film) await this.showFilm(prior.instance, app.panes[1], prior.date);
    app.panes[0].port.redraw();
  }

  private drawStrip(): void {
    const { app, entry } = this;
    const shown = app.panes[0].port.instance;
    const films = entry.instances.length > 1 ? h("div", { class: "lr-films", role: "group", "aria-label": t("Films") }, ...entry.instances.map((each) => {
      const button = h("button", { type: "button", class: "lr-button", onclick: () => void this.showFilm(each) }, [each.view_position, each.name].filter(Boolean).join(" · "));
      button.setAttribute("aria-pressed", String(each.id === shown));
      return button;
    })) : null;
    const compare = app.comparing ? this.compareControls() : null;
    fill(app.strip, films, compare);
    app.strip.hidden = !films && !compare;
  }

  private compareControls(): Node {
    const { app } = this;
    const priors = this.priors();
    const select = h("select", { onchange: () => {
      const chosen = priors[Number(select.value)];
      void this.showFilm(chosen.instance, app.panes[1], chosen.date);
    } }, ...priors.map((each, index) => h("option", { value: String(index), selected: each.instance.id === app.panes[1].port.instance }, `${day(each.date)} · ${each.instance.name}`)));
    const swap = h("button", { type: "button", class: "lr-button", onclick: () => {
      const first = app.stage.classList.toggle("lr-prior-first");
      localStorage.setItem(SIDE, first ? "1" : "0");
    } }, t("Change sides"));
    return h("div", { class: "lr-compare" }, h("label", { class: "lr-field lr-inline" }, h("span", {}, t("Earlier film")), select), swap);
  }

  private async reveal(opinion: { finding: string; certainty: number }[]): Promise<void> {
    const { app, entry } = this;
    if (entry.read_first && !this.entry.revealed) {
      const seconds = Math.min(86400, Math.round((Date.now() - this.opened) / 1000));
      await app.api.send("POST", `cases/${entry.id}/reveal`, { first_opinion: opinion, seconds });
      this.entry = await app.api.get<CaseEntry>(`cases/${entry.id}`);
      app.reader.readings = (this.entry.readings ?? []).map(fromServer);
    }
    this.revealed = true;
    const latest = app.reader.readings.find((each) => each.instance === app.panes[0].port.instance);
    if (latest) await app.reader.open(latest);
    else if (app.config.private) await this.readHere();
    app.refresh();
  }

  private async readHere(): Promise<void> {
    const { port } = this.app.panes[0];
    if (!this.app.reader.chosen) {
      await this.app.reader.list();
      this.app.reader.prefer(this.entry.patient.age_years);
    }
    if (port.film) await this.app.reader.readHere(port.film, port.instance);
  }

  private async readOnServer(): Promise<void> {
    const yes = await ask(t("The server will read this film with the model. Pixels are processed there, as they were when the film was uploaded."), t("Read on the server"));
    if (yes) await this.app.reader.readOnServer(this.entry.id, this.app.panes[0].port.instance);
  }

  private keep(): string | null {
    const { shown } = this.app.reader;
    if (!shown) return null;
    if (shown.id) return shown.id;
    const key = `${shown.digest} ${shown.instance} ${shown.made}`;
    if (!this.keeping.has(key)) {
      this.keeping.set(key, this.sync.send({ method: "POST", path: `cases/${this.entry.id}/readings`, body: readingBody(shown) }));
      this.app.say(t("The reading's numbers are kept with the case; the film was not sent."));
    }
    return pendingId(this.keeping.get(key)!);
  }

  /** A decision keeps the reading that it is about. */
  private decide(finding: ShownFinding, decision: Decision["decision"], after: string | null, note: string): void {
    const reading = this.keep();
    if (!reading) return;
    const body = { reading, decision, finding_after: decision === "edit" ? after : null, note };
    this.decisions.set(finding.name, { finding: finding.name, ...body });
    this.sync.send({ method: "PUT", path: `cases/${this.entry.id}/decisions/${encodeURIComponent(finding.name)}`, body });
    this.app.refresh();
  }

  private sent(errand: string, answer: unknown): void {
    const { reader } = this.app;
    const id = (answer as { id?: string } | null)?.id;
    const key = [...this.keeping].find(([, value]) => value === errand)?.[0];
    if (!id || !key || !reader.shown || key !== `${reader.shown.digest} ${reader.shown.instance} ${reader.shown.made}`) return;
    reader.shown = { ...reader.shown, id };
    reader.readings = [reader.shown, ...reader.readings.filter((each) => each.id !== id)];
    this.app.refresh();
  }

  private findings(): { name: string; title: string }[] {
    return (this.entry.findings ?? []).map((each) => (typeof each === "string" ? { name: each, title: each } : each));
  }

  /** What a new box is called until somebody says: the site knows no box without a finding. */
  private firstName(): string {
    const names = this.findings().map((each) => each.name);
    return names.find((name) => name === UNSAID) ?? names[0] ?? "";
  }

  private titleOf(name: string): string {
    return this.findings().find((each) => each.name === name)?.title ?? name;
  }
}
