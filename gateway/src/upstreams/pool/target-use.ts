import type { Target } from './target.ts';

/** What one attempt counts at its target, and takes back when it ends. */
export class TargetUse {
  readonly #target: Target;
  #isUnanswered = false;
  #holdsStream = false;

  constructor(target: Target) {
    this.#target = target;
    target.pending += 1;
    target.connections += 1;
  }

  /** The request is complete, and has no response yet. */
  awaitResponse(): void {
    this.#isUnanswered = true;
    this.#target.unanswered += 1;
  }

  answered(): void {
    if (this.#isUnanswered) this.#target.unanswered -= 1;
    this.#isUnanswered = false;
  }

  /** Counts a stream, instead of the one that was counted before. @returns False at the limit. */
  takeStream(): boolean {
    this.releaseStream();
    this.#holdsStream = this.#target.hasRoomForStream();
    if (this.#holdsStream) this.#target.streams += 1;
    return this.#holdsStream;
  }

  releaseStream(): void {
    if (this.#holdsStream) this.#target.streams -= 1;
    this.#holdsStream = false;
  }

  /** Called once. */
  end(): void {
    this.#target.pending -= 1;
    this.#target.connections -= 1;
    this.releaseStream();
    this.answered();
  }
}
