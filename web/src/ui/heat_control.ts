/** The heat map of one finding over the film: on and off, blink, opacity, threshold, colors, legend. */
import { GAZE, type ShownFinding, type ShownReading } from "../ai/shown";
import { t } from "../strings";
import { COLOR_MAPS, HEAT_DEFAULTS, paintHeat, paintLegend, strengthGrid, type ColorMap, type HeatOptions } from "../view/heat";
import type { Viewport } from "../view/viewport";
import { h } from "./dom";

const PLACE = "lucidray-heat";

export class HeatControl {
  on = false;
  finding: string | null = null;
  options: HeatOptions = { ...HEAT_DEFAULTS };
  onChange: () => void = () => {};
  private reading: ShownReading | null = null;
  private grid: ReturnType<typeof strengthGrid> = null;
  private key = "";

  constructor(private readonly ports: () => Viewport[]) {
    try {
      Object.assign(this.options, JSON.parse(localStorage.getItem(PLACE) ?? "{}"));
    } catch {
      this.options = { ...HEAT_DEFAULTS };
    }
  }

  get current(): ShownFinding | null {
    const { reading } = this;
    if (reading?.gaze && this.finding === GAZE) return reading.gaze;
    return reading?.findings.find((each) => each.name === this.finding) ?? null;
  }

  /** Whether the current finding has anything to paint. */
  get empty(): boolean {
    return !this.grid;
  }

  setReading(reading: ShownReading | null): void {
    const same = reading && this.reading && reading.digest === this.reading.digest && reading.instance === this.reading.instance;
    this.reading = reading;
    if (!same) this.on = false;
    if (!this.current) this.finding = reading?.findings[0]?.name ?? null;
    this.paint();
  }

  show(finding: string | null, on = true): void {
    this.finding = finding ?? this.finding;
    this.on = on;
    this.paint();
    this.onChange();
  }

  toggle(): void {
    this.show(this.finding, !this.on);
  }

  /** Take the map away while a key is held, and bring it back (or the other way round). */
  blink(down: boolean): void {
    for (const port of this.ports()) port.heat.classList.toggle("lr-blink", down);
    if (down && !this.on) this.paint(true);
    if (!down) this.paint();
  }

  step(by: number): void {
    const names = this.reading?.findings.map((each) => each.name) ?? [];
    if (!names.length) return;
    const index = names.indexOf(this.finding ?? "");
    this.show(names[(index + by + names.length) % names.length], this.on);
  }

  set(values: Partial<HeatOptions>): void {
    Object.assign(this.options, values);
    try {
      localStorage.setItem(PLACE, JSON.stringify(this.options));
    } catch {
      /* it is only for next time */
    }
    this.key = "";
    this.paint();
    this.onChange();
  }

  paint(anyway = false): void {
    const finding = this.current;
    for (const port of this.ports()) {
      const fits = this.reading && port.film && port.instance === this.reading.instance && this.reading.maps && finding?.map;
      const visible = Boolean(fits && (this.on || anyway));
      port.heat.hidden = true;
      port.heat.classList.toggle("lr-inverse-blink", anyway);
      if (!visible || !port.film || !this.reading?.maps || !finding) continue;
      const key = [this.reading.digest, this.reading.instance, finding.name, this.reading.made].join();
      if (key !== this.key) {
        this.grid = strengthGrid(this.reading.maps, finding, port.film);
        this.key = key;
      }
      if (!this.grid) continue;
      paintHeat(port.heat, this.grid, this.options);
      port.heat.hidden = false;
      port.redraw();
    }
  }

  /** The controls, for beneath the finding that is explained. */
  controls(): HTMLElement {
    const finding = this.current;
    const legend = h("canvas", { class: "lr-legend", role: "img" });
    legend.setAttribute("aria-label", t("Color scale from weak to strong"));
    paintLegend(legend, this.options);
    const slider = (label: string, value: number, change: (value: number) => void) => {
      const output = h("output", {}, `${Math.round(value * 100)} %`);
      const input = h("input", {
        type: "range", min: "0", max: "100", step: "1", value: String(Math.round(value * 100)),
        oninput: () => {
          output.textContent = `${input.value} %`;
          change(Number(input.value) / 100);
          paintLegend(legend, this.options);
        },
      });
      return h("label", { class: "lr-slider" }, h("span", {}, label), input, output);
    };
    const quiet = (values: Partial<HeatOptions>) => {
      const listener = this.onChange;
      this.onChange = () => {};
      this.set(values);
      this.onChange = listener;
    };
    const nothing = finding?.map && finding.map.every((value) => !(value > 0));
    return h(
      "div", { class: "lr-heat-controls" },
      h("p", { class: "lr-caution" }, t("Where the model looked, not a lesion outline.")),
      nothing ? h("p", { class: "lr-quiet" }, t("Nothing on this film speaks for the finding: there is nothing to paint.")) : null,
      h("div", { class: "lr-legend-row" }, h("span", {}, t("weak")), legend, h("span", {}, t("strong"))),
      slider(t("Opacity"), this.options.opacity, (opacity) => quiet({ opacity })),
      slider(t("Hide below"), this.options.threshold, (threshold) => quiet({ threshold })),
      h("label", { class: "lr-field" }, h("span", {}, t("Colors")), h(
        "select", { onchange: (event: Event) => this.set({ colors: (event.target as HTMLSelectElement).value as ColorMap }) },
        ...COLOR_MAPS.map((name) => h("option", { value: name, selected: name === this.options.colors }, name)),
      )),
      h("p", { class: "lr-trust" }, h("strong", {}, t("Trust in this map: ")), h("bdi", {}, finding?.trust || t("it has not been measured how far it can be trusted."))),
    );
  }
}
