/** How far a work is. */
export interface Steps {
  readonly done: number;
  /** May grow. Undefined: not known yet. */
  readonly total?: number | undefined;
  readonly failed?: number;
}

/** What can be said of how far a work is: counts, rate, and how long it will take yet. */
export class Pace {
  readonly #now: () => number;
  #first: { readonly at: number; readonly done: number } | undefined;
  #steps: Steps = { done: 0 };

  /** `now`: milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  see(steps: Steps): void {
    this.#first ??= { at: this.#now(), done: steps.done };
    this.#steps = steps;
  }

  /** `1200 of 10000, 812/s, 11s left`, with what of it is known. */
  text(): string {
    const { done, total, failed = 0 } = this.#steps;
    const parts = [total === undefined ? String(done) : `${String(done)} of ${String(total)}`];
    if (failed > 0) parts.push(`${String(failed)} failed`);
    const perSecond = this.#rate();
    if (perSecond > 0) {
      parts.push(`${perSecond < 10 ? perSecond.toFixed(1) : perSecond.toFixed(0)}/s`);
      if (total !== undefined) parts.push(`${timeText((total - done) / perSecond)} left`);
    }
    return parts.join(', ');
  }

  /** Steps a second since the first word on it. */
  #rate(): number {
    if (this.#first === undefined) return 0;
    const seconds = (this.#now() - this.#first.at) / 1000;
    return seconds > 0 ? (this.#steps.done - this.#first.done) / seconds : 0;
  }
}

/** `45s`, `3m 20s`, `2h 5m`. */
function timeText(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 60) return `${String(whole)}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${String(minutes)}m ${String(whole % 60)}s`;
  return `${String(Math.floor(minutes / 60))}h ${String(minutes % 60)}m`;
}
