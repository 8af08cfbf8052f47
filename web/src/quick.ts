/** Quick look: drop a film, get its explained reading at once. Nothing is stored, nothing is sent. */
import { App } from "./app";
import type { ViewerConfig } from "./config";
import { messageOf } from "./errors";
import { t } from "./strings";
import { fill, h } from "./ui/dom";
import { ask } from "./ui/help";
import { ReadingPanel } from "./ui/panel_reading";

export class QuickLook {
  private readonly app: App;
  private readonly panel: ReadingPanel;
  private readonly input: HTMLInputElement;
  private readonly drop: HTMLElement;
  private readonly problem = h("p", { class: "lr-problem", role: "alert" });
  private file: File | null = null;
  private count = 0;

  constructor(root: HTMLElement, config: ViewerConfig) {
    this.app = new App(root, config);
    const { app } = this;
    this.panel = new ReadingPanel(app.reader, app.heat, app.keys, {
      revealed: () => true,
      readFirst: () => false,
      reveal: async () => {},
      readHere: () => this.read(),
      readOnServer: () => void this.readOnServer(),
      keep: null,
      decide: null,
      decisionOf: () => undefined,
      findings: () => [],
    });
    this.input = h("input", { type: "file", accept: ".dcm,.dicom,.png,.jpg,.jpeg,.tif,.tiff,application/dicom,image/png,image/jpeg,image/tiff", class: "lr-file", id: "lr-file" });
    this.input.addEventListener("change", () => this.input.files?.[0] && void this.open(this.input.files[0]));
    this.drop = this.makeDrop();
    app.setTabs([{ id: "reading", title: t("Model"), content: this.panel.element }]);
    app.redrawPanels = () => this.panel.draw();
    this.listen();
    fill(app.strip, h("button", { type: "button", class: "lr-button", onclick: () => this.input.click() }, t("Open another film")), h("span", { class: "lr-quiet" }, t("Quick look: nothing is stored.")));
    app.strip.hidden = true;
    app.panel.hidden = true;
    app.stage.append(this.drop);
    void app.reader.list().then(() => {
      app.reader.prefer(null);
      return app.reader.warm();
    });
  }

  private makeDrop(): HTMLElement {
    const label = h("label", { class: "lr-button lr-primary", for: "lr-file" }, t("Choose a film"));
    return h("div", { class: "lr-drop" }, h("div", { class: "lr-drop-inner" },
      h("h2", {}, t("Drop a chest film here")),
      h("p", {}, t("PNG, JPEG, TIFF or DICOM. It is read in this browser: no pixel and no tag leaves it, and nothing is stored.")),
      h("p", {}, this.input, label), this.problem));
  }

  private listen(): void {
    const { element } = this.app;
    const over = (on: boolean) => (event: DragEvent) => {
      event.preventDefault();
      element.classList.toggle("lr-over", on);
    };
    element.addEventListener("dragenter", over(true));
    element.addEventListener("dragover", over(true));
    element.addEventListener("dragleave", over(false));
    element.addEventListener("drop", (event) => {
      over(false)(event);
      const file = event.dataTransfer?.files[0];
      if (file) void this.open(file);
    });
  }

  private async open(file: File): Promise<void> {
    const { app } = this;
    this.problem.textContent = "";
    app.say(t("Opening {name}…", { name: file.name }));
    try {
      const film = await app.films.decode(await file.arrayBuffer());
      this.file = file;
      this.drop.hidden = true;
      app.strip.hidden = false;
      app.panel.hidden = false;
      app.reader.clear();
      app.show(app.panes[0], film, `quick-${++this.count}`, film.view ?? "", "");
      app.say("");
      app.panes[0].port.element.focus();
      this.read();
    } catch (error) {
      app.say("");
      this.drop.hidden = false;
      this.problem.textContent = t("{name} cannot be shown: {why}", { name: file.name, why: messageOf(error) });
    } finally {
      this.input.value = "";
    }
  }

  private read(): void {
    const { port } = this.app.panes[0];
    void this.explained(async () => {
      if (!this.app.reader.chosen) await this.app.reader.list();
      if (port.film) await this.app.reader.readHere(port.film, port.instance);
    });
  }

  private async readOnServer(): Promise<void> {
    const { file } = this;
    const yes = file && (await ask(t("The film will be sent to this site's server, read there and forgotten."), t("Send and read")));
    if (yes) await this.explained(() => this.app.reader.quickOnServer(file));
  }

  /** Read, then show the map of the first finding that was called: explained at once. */
  private async explained(read: () => Promise<void>): Promise<void> {
    const { app } = this;
    await read();
    if (app.reader.shown && app.reader.shown.instance === "quick") app.reader.shown.instance = app.panes[0].port.instance;
    app.heat.setReading(app.reader.shown);
    const called = app.reader.shown?.findings.find((each) => each.positive && each.map);
    if (called && !app.reader.shown?.refusal) app.heat.show(called.name, true);
    app.refresh();
  }
}
