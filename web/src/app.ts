/** The viewer: one or two films, tools, a side panel, keys. What a case or a quick look adds comes from outside. */
import { Boxes } from "./annotate/boxes";
import type { Suggestion } from "./annotate/layer";
import type { Sync } from "./annotate/sync";
import { Api } from "./api";
import { Reader } from "./ai/reader";
import type { ViewerConfig } from "./config";
import { Films } from "./films";
import { Keys, type Action } from "./keys";
import type { Film } from "./pixels/film";
import { percent, t } from "./strings";
import { fill, h, isTyping } from "./ui/dom";
import { HeatControl } from "./ui/heat_control";
import { openHelp } from "./ui/help";
import { Toolbar } from "./ui/toolbar";
import { WindowFields } from "./ui/window_fields";
import { Pane, TOOLS, type Tool } from "./view/pane";
import { linked, mirrored, turned, zoomed } from "./view/transform";
import type { Viewport } from "./view/viewport";

export interface PanelTab {
  id: string;
  title: string;
  content: HTMLElement;
}

export class App {
  readonly element: HTMLElement;
  readonly api: Api;
  readonly films: Films;
  readonly boxes = new Boxes();
  readonly reader: Reader;
  readonly keys = new Keys(storage());
  readonly heat: HeatControl;
  readonly panes: Pane[];
  readonly toolbar: Toolbar;
  readonly window: WindowFields;
  readonly status = h("div", { class: "lr-statusbar" });
  readonly saved = h("span", { class: "lr-saved", role: "status" });
  readonly live = h("span", { class: "lr-live", role: "status" });
  readonly strip = h("div", { class: "lr-strip" });
  readonly stage = h("div", { class: "lr-stage" });
  readonly panel = h("aside", { class: "lr-panel" });
  tool: Tool = "window";
  active: Pane;
  comparing = false;
  /** Asked before comparing; prepares the second pane. */
  onCompare: (on: boolean) => void = () => {};
  onReveal: () => void = () => {};
  onDecide: (decision: "accept" | "reject") => void = () => {};
  canCompare: () => boolean = () => false;
  redrawPanels: () => void = () => {};
  private linking = false;

  constructor(readonly root: HTMLElement, readonly config: ViewerConfig) {
    this.api = new Api(config.api, config.csrf);
    this.films = new Films(this.api);
    this.reader = new Reader(this.api, config.bundles_url);
    this.panes = [t("Film"), t("Earlier film")].map((label) => new Pane(label, this.boxes, () => this.tool, (text) => this.say(text), config.painter));
    this.active = this.panes[0];
    this.heat = new HeatControl(() => this.panes.map((pane) => pane.port));
    this.toolbar = this.makeToolbar();
    this.window = new WindowFields(() => this.active.port);
    this.toolbar.end.append(this.window.element);
    this.element = h("div", { class: "lr-viewer" }, this.toolbar.element, h("div", { class: "lr-body" }, h("div", { class: "lr-main" }, this.strip, this.stage), this.panel),
      h("div", { class: "lr-foot" }, this.live, this.status, this.saved));
    this.panel.setAttribute("aria-label", t("Reading, boxes and notes"));
    this.stage.append(this.panes[0].port.element, this.panes[1].port.element);
    this.panes[1].port.element.hidden = true;
    this.link();
    this.act();
    fill(root, this.element);
    this.fillPage();
    window.addEventListener("resize", () => this.fillPage());
  }

  /** As high as the window leaves room below the page's own bars: the film never scrolls away. */
  private fillPage(): void {
    this.root.style.flex = "none";
    const above = this.root.getBoundingClientRect().top + window.scrollY;
    this.root.style.blockSize = `${Math.max(Math.floor(window.innerHeight - above), 480)}px`;
  }

  say(text: string): void {
    this.live.textContent = text;
  }

  /** Show a film in a pane. */
  show(pane: Pane, film: Film, instance: string, title: string, subtitle = ""): void {
    pane.corners.title = title;
    pane.corners.subtitle = subtitle;
    pane.port.setFilm(film, instance);
    this.heat.paint();
    this.refresh();
  }

  /** Draw again what depends on the state. */
  refresh(): void {
    const { shown } = this.reader;
    for (const pane of this.panes) {
      const revealed = shown && pane.port.instance === shown.instance && !shown.refusal && this.heat.on;
      pane.layer.suggestions = revealed ? this.suggestions() : [];
      pane.port.redraw();
    }
    this.toolbar.draw();
    this.redrawPanels();
  }

  setTabs(tabs: PanelTab[], chosen = tabs[0]?.id): void {
    const list = h("div", { class: "lr-tabs", role: "tablist" });
    list.setAttribute("aria-label", t("Panel"));
    const choose = (id: string) => {
      for (const [index, tab] of tabs.entries()) {
        const button = list.children[index] as HTMLButtonElement;
        button.setAttribute("aria-selected", String(tab.id === id));
        button.tabIndex = tab.id === id ? 0 : -1;
        tab.content.hidden = tab.id !== id;
      }
    };
    for (const tab of tabs) {
      const button = h("button", { type: "button", class: "lr-tab", role: "tab", id: `lr-tab-${tab.id}`, onclick: () => choose(tab.id) }, tab.title);
      button.setAttribute("aria-controls", `lr-panel-${tab.id}`);
      list.append(button);
      Object.assign(tab.content, { id: `lr-panel-${tab.id}`, tabIndex: 0 });
      tab.content.setAttribute("role", "tabpanel");
      tab.content.setAttribute("aria-labelledby", button.id);
      tab.content.classList.add("lr-tabpanel");
    }
    list.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const index = [...list.children].indexOf(event.target as Element);
      const next = list.children[(index + step + tabs.length) % tabs.length] as HTMLButtonElement;
      choose(tabs[[...list.children].indexOf(next)].id);
      next.focus();
      event.preventDefault();
      event.stopPropagation();
    });
    this.openTab = choose;
    fill(this.panel, ...(tabs.length > 1 ? [list] : []), ...tabs.map((tab) => tab.content));
    if (chosen) choose(chosen);
  }

  openTab: (id: string) => void = () => {};

  /** Show how saving stands. */
  showSaving(sync: Sync): void {
    const words = {
      saved: t("Saved"), unsaved: t("Not saved yet"), saving: t("Saving…"), conflict: t("Changed elsewhere: please decide"),
      offline: sync.kept ? t("Offline: kept in this browser, sent later") : t("Offline: sent later, as long as this page stays open"), failed: t("Not saved: {why}", { why: sync.problem }),
    };
    this.saved.textContent = words[sync.state];
    this.saved.dataset.state = sync.state;
  }

  setComparing(on: boolean): void {
    this.comparing = on;
    this.panes[1].port.element.hidden = !on;
    this.stage.classList.toggle("lr-two", on);
    if (!on) this.active = this.panes[0];
    this.toolbar.draw();
  }

  private suggestions(): Suggestion[] {
    const finding = this.heat.current;
    if (!finding) return [];
    const own = finding.detections.map(({ box, score }) => ({ finding: finding.name, title: `${finding.title} ${percent(score)}`, box }));
    return own.length ? own : finding.boxes.map((box) => ({ finding: finding.name, title: finding.title, box }));
  }

  private setTool(tool: Tool): void {
    if (tool === "box" && !this.active.layer.editable) {
      this.say(t("You may not draw boxes here."));
      return;
    }
    if (tool === "length" && this.active.ruler.refusal) {
      this.say(this.active.ruler.refusal);
      return;
    }
    this.tool = tool;
    this.stage.dataset.tool = tool;
    const hints: Record<Tool, string> = {
      window: t("Drag: across the window's width, up and down its level."), zoom: t("Drag up or down to zoom; a click zooms in, with Shift out."),
      pan: t("Drag to move the film; a click brings that place to the middle."), box: t("Drag a box, or click two corners. Enter puts one in the middle."),
      length: t("Drag a line, or click both ends. Enter puts one in the middle."),
    };
    this.say(hints[tool]);
    this.toolbar.draw();
    // A tool acts on the film: keys that follow go there, unless somebody is walking through the tools.
    if (!document.activeElement?.closest("[role=toolbar]")) this.active.port.element.focus({ preventScroll: true });
  }

  private makeToolbar(): Toolbar {
    const tool = (action: Tool) => ({ action, pressed: () => this.tool === action });
    const film = () => Boolean(this.active.port.film);
    return new Toolbar(this.keys, [
      [{ ...tool("window"), icon: "window" }, { ...tool("zoom"), icon: "zoom" }, { ...tool("pan"), icon: "pan" },
        { ...tool("box"), icon: "box", enabled: () => this.active.layer.editable }, { ...tool("length"), icon: "length" },
        { action: "lens", icon: "lens", pressed: () => this.active.lens.on }],
      [{ action: "invert", icon: "invert", pressed: () => this.active.port.look.inverted }, { action: "fit", icon: "fit" }, { action: "actual", icon: "actual" },
        { action: "zoomOut", icon: "minus" }, { action: "zoomIn", icon: "plus" },
        { action: "turnRight", icon: "turn" }, { action: "flip", icon: "flip", pressed: () => this.active.port.view.flipped }, { action: "reset", icon: "reset" }],
      [{ action: "undo", icon: "undo", enabled: () => this.boxes.canUndo }, { action: "redo", icon: "redo", enabled: () => this.boxes.canRedo }],
      [{ action: "heat", icon: "heat", pressed: () => this.heat.on, enabled: () => Boolean(this.reader.shown && !this.reader.shown.refusal) },
        { action: "compare", icon: "compare", pressed: () => this.comparing, enabled: () => this.canCompare() },
        { action: "panel", icon: "panel", pressed: () => !this.panel.hidden }, { action: "help", icon: "keys" }],
    ].map((group) => group.map((entry) => ({ ...entry, enabled: "enabled" in entry && entry.enabled ? entry.enabled : entry.action === "panel" || entry.action === "help" ? undefined : film }))) as ConstructorParameters<typeof Toolbar>[1],
    (action) => this.run(action));
  }

  private readonly actions = new Map<Action, () => void>();

  run(action: Action): void {
    this.actions.get(action)?.();
  }

  private act(): void {
    const port = () => this.active.port;
    const middle = () => ({ x: port().port.width / 2, y: port().port.height / 2 });
    const zoom = (factor: number) => port().setView(zoomed(port().view, port().port, factor, middle()));
    const on = (action: Action, run: () => void) => {
      this.actions.set(action, run);
      this.keys.handle(action, run);
    };
    for (const tool of TOOLS) on(tool, () => this.setTool(tool));
    on("invert", () => port().setLook({ ...port().look, inverted: !port().look.inverted }));
    on("fit", () => port().fit());
    on("actual", () => port().actualSize());
    on("turnRight", () => this.reoriented((now) => now.setView(turned(now.view, 1))));
    on("turnLeft", () => this.reoriented((now) => now.setView(turned(now.view, -1))));
    on("flip", () => this.reoriented((now) => now.setView(mirrored(now.view))));
    on("reset", () => port().reset());
    on("zoomIn", () => zoom(1.25));
    on("zoomOut", () => zoom(0.8));
    on("lens", () => {
      this.active.lens.toggle();
      this.toolbar.draw();
    });
    on("undo", () => this.boxes.undo());
    on("redo", () => this.boxes.redo());
    on("heat", () => this.reader.shown && this.heat.toggle());
    on("previousFinding", () => this.heat.step(-1));
    on("nextFinding", () => this.heat.step(1));
    on("compare", () => this.canCompare() && this.onCompare(!this.comparing));
    on("panel", () => {
      this.panel.hidden = !this.panel.hidden;
      this.toolbar.draw();
    });
    on("reveal", () => this.onReveal());
    on("accept", () => this.onDecide("accept"));
    on("reject", () => this.onDecide("reject"));
    on("help", () => openHelp(this.keys, () => this.toolbar.draw()));
    this.keys.handle("blink", () => this.heat.blink(true), () => this.heat.blink(false));
    document.addEventListener("keydown", (event) => this.pressed(event));
    document.addEventListener("keyup", (event) => this.keys.release(event));
    window.addEventListener("blur", () => this.heat.blink(false));
    this.boxes.listeners.push(() => this.refresh());
    this.heat.onChange = () => this.refresh();
    this.reader.onChange = () => {
      this.heat.setReading(this.reader.shown);
      this.refresh();
    };
  }

  private reoriented(change: (port: Viewport) => void): void {
    const { port } = this.active;
    const fitted = port.isFitted;
    change(port);
    if (fitted) port.fit();
    const { flipped } = port.view;
    this.say(flipped ? t("Mirrored: left and right are swapped on the screen. The file is not changed.") : t("As stored, left and right."));
    this.toolbar.draw();
  }

  private pressed(event: KeyboardEvent): void {
    if (event.key === "Escape" && !isTyping(event) && !document.querySelector("dialog[open]")) this.escape();
    const onPort = (event.target as Element).classList?.contains("lr-port");
    if (event.key === "Enter" && onPort && this.tool === "box" && !event.defaultPrevented) {
      event.preventDefault();
      this.active.layer.addInMiddle();
    } else if (event.key === "Enter" && onPort && this.tool === "length") this.active.ruler.addInMiddle();
    else if (onPort && this.arrow(event)) event.preventDefault();
    else this.keys.press(event);
  }

  /** On the film itself arrows move it; with the window tool they change the window. */
  private arrow(event: KeyboardEvent): boolean {
    const arrows: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const arrow = arrows[event.key];
    const { port, lens } = this.active;
    if (!arrow || event.ctrlKey || event.metaKey || lens.on || event.defaultPrevented || !port.film) return false;
    const step = event.shiftKey ? 5 : 1;
    const window = port.currentWindow();
    if (this.tool === "window" && window) {
      const by = (window.width / 50) * step;
      port.setWindow({ ...window, width: Math.max(window.width + arrow[0] * by, 0.01), center: window.center + arrow[1] * by });
    } else {
      const { view } = port;
      const corner = port.toFilm({ x: 0, y: 0 });
      const moved = port.toFilm({ x: arrow[0] * 40 * step, y: arrow[1] * 40 * step });
      port.setView({ ...view, cx: view.cx + moved.x - corner.x, cy: view.cy + moved.y - corner.y });
    }
    return true;
  }

  private escape(): void {
    const { active } = this;
    active.gestures.cancel();
    if (active.layer.cancel()) return;
    if (active.lens.on) active.lens.toggle(false);
    else if (this.boxes.selected) {
      this.boxes.select(null);
      active.port.element.focus();
    } else if (this.tool !== "window") this.setTool("window");
    else active.ruler.clear();
    this.toolbar.draw();
  }

  /** Zoom and place of one pane follow the other's. */
  private link(): void {
    this.panes.forEach((pane, index) => {
      const { port } = pane;
      port.element.addEventListener("pointerdown", () => this.activate(pane));
      port.element.addEventListener("focusin", () => this.activate(pane));
      port.onChange = (kind) => {
        if (kind === "view") this.follow(pane, this.panes[1 - index]);
        if (kind !== "view") {
          this.toolbar.draw();
          this.window.draw();
        }
      };
    });
  }

  private follow(from: Pane, to: Pane): void {
    if (this.linking || !this.comparing || !from.port.film || !to.port.film) return;
    this.linking = true;
    const moved = linked(from.port.view, from.port.film, to.port.film, from.port.fitScale, to.port.fitScale);
    to.port.setView({ ...to.port.view, ...moved }, from.port.isFitted);
    this.linking = false;
  }

  private activate(pane: Pane): void {
    if (this.active === pane) return;
    this.active = pane;
    this.toolbar.draw();
    this.window.draw();
  }
}

function storage(): Storage | null {
  try {
    return localStorage;
  } catch {
    return null;
  }
}
