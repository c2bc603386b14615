/** What happened, as a number that is the same if and only if the same things happened, and as text for whoever replays a seed. */

export class Trace {
  /** Operations noted down. */
  count = 0;
  private state = 0x811c9dc5;

  constructor(private readonly listener?: (line: string) => void) {}

  note(process: string, operation: string, shown: string, outcome: string): void {
    this.count++;
    this.mix(operation);
    this.mix(shown);
    this.mix(outcome);
    this.listener?.(`${String(this.count).padStart(5)} ${process} ${operation} ${shown} → ${outcome}`);
  }

  /** Something that is no operation; `details` may differ from run to run. */
  say(text: string, details = ''): void {
    this.mix(text);
    this.listener?.(`      ── ${text}${details}`);
  }

  /** Of everything so far (FNV-1a). */
  get hash(): string {
    return (this.state >>> 0).toString(16).padStart(8, '0');
  }

  private mix(text: string): void {
    let { state } = this;
    for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
    this.state = Math.imul(state ^ 0xff, 0x01000193);
  }
}
