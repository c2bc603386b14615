/** What was saved in a history, and what of it lies on the disk: compared after everything that happens. */
import type { Attempt } from './attempt.js';
import { attemptIn, differenceIn, sequenceIn } from './contents.js';
import type { Disk } from './disk.js';
import type { DirectoryNode, Node } from './nodes.js';
import { mustStay, type Policy } from './policy-model.js';

/** A rule that was broken. */
export interface Violation {
  readonly code: string;
  readonly message: string;
}

/** A checkpoint under a visible name. */
export interface Seen {
  readonly name: string;
  readonly node: DirectoryNode;
  /** `undefined`: nobody knows what it is, and that was reported. */
  readonly attempt: Attempt | undefined;
}

/** Names that may stand in a directory of checkpoints while nobody writes there. */
const FIXED = ['latest', 'best', 'registry.json', '.history.jsonl', '.lock'];

export class Ledger {
  readonly attempts: Attempt[] = [];
  readonly violations: Violation[] = [];
  /** After the fsync of a directory has failed and the power went, nobody knows what was in it. */
  lenient = false;
  /** Tags, and the names of the checkpoints that have them. */
  readonly tags = new Map<string, string>();
  /** Tags of which nobody knows where they are: whoever moved them died. */
  readonly unsureTags = new Set<string>();
  /** Registries that were there once. */
  readonly registries: Uint8Array[] = [];
  private readonly known = new Map<DirectoryNode, Attempt | undefined>();

  constructor(
    private readonly disk: Disk,
    private readonly directory: readonly string[],
  ) {}

  report(code: string, message: string): void {
    this.violations.push({ code, message });
  }

  get node(): DirectoryNode | undefined {
    let node: Node | undefined = this.disk.root;
    for (const name of this.directory) node = node?.kind === 'directory' ? node.entries.get(name) : undefined;
    return node?.kind === 'directory' ? node : undefined;
  }

  /** Every checkpoint that has a name, compared with what was saved. */
  look(): Seen[] {
    const seen: Seen[] = [];
    this.noteRegistry();
    for (const [name, node] of this.node?.entries ?? []) {
      if (name.startsWith('.') || node.kind !== 'directory') continue;
      if (!this.known.has(node)) this.known.set(node, this.identify(name, node));
      const attempt = this.known.get(node);
      if (attempt !== undefined && !this.compare(name, node, attempt)) continue;
      seen.push({ name, node, attempt });
    }
    return seen;
  }

  /** A checkpoint that has not been seen before. */
  private identify(name: string, node: DirectoryNode): Attempt | undefined {
    const files = filesOf(node);
    const attempt = this.attempts[attemptIn(files) ?? -1];
    const difference = attempt === undefined ? 'nobody has saved it' : differenceIn(files, attempt);
    if (attempt === undefined || difference !== undefined) {
      if (!this.lenient) this.report('DAMAGED', `${name} is there although nothing was done to it, and ${difference}`);
      return undefined;
    }
    if (attempt.files !== undefined && !attempt.retired) this.report('TWICE', `${name} holds save ${attempt.id}, which is there already`);
    attempt.name = name;
    attempt.files = files;
    attempt.sequence = sequenceIn(files);
    const isLike = (each: Attempt) => each !== attempt && each.sequence === attempt.sequence && each.harm === 'none' && this.isThere(each);
    const other = this.attempts.find(isLike);
    if (other !== undefined) this.report('SEQUENCE', `${name} and ${other.name} both have sequence ${attempt.sequence}`);
    return attempt;
  }

  /** False for what nobody can say anything of. */
  private compare(name: string, node: DirectoryNode, attempt: Attempt): boolean {
    attempt.name = name;
    if (attempt.harm === 'lost') return false;
    if (attempt.harm !== 'none') return true;
    const files = filesOf(node);
    const expected = attempt.files as ReadonlyMap<string, Uint8Array>;
    const same = files.size === expected.size && [...expected].every(([file, bytes]) => equal(bytes, files.get(file)));
    if (same) return true;
    const isExcused = this.lenient && attempt.retired;
    if (!isExcused) this.report('DAMAGED', `${name} has changed or lost files although nothing was done to it`);
    attempt.harm = isExcused ? 'lost' : 'unreadable';
    return !isExcused;
  }

  /** A save of this sequence was acknowledged: whatever had its name before that got it durably by that. */
  acknowledged(sequence: number): void {
    for (const each of this.attempts) {
      if (each.sequence !== undefined && each.sequence < sequence && this.isThere(each)) each.expected = true;
    }
  }

  /** Whether a writer has found it there, for all that is known; retention may have taken it meanwhile. */
  wasThere(attempt: Attempt): boolean {
    const { sequence, harm, retired, expected, outcome } = attempt;
    if (sequence === undefined || harm === 'removed' || harm === 'lost' || retired) return false;
    // What is underway, or was refused, has a name for a moment at most.
    return expected || outcome === 'unknown' || this.isThere(attempt);
  }

  /** Whether it has its name at this moment. */
  isThere(attempt: Attempt): boolean {
    const node = this.node?.entries.get(attempt.name ?? '');
    return node?.kind === 'directory' && this.known.get(node) === attempt;
  }

  private noteRegistry(): void {
    const file = this.node?.entries.get('registry.json');
    if (file?.kind === 'file' && this.registries.at(-1) !== file.data) this.registries.push(file.data);
  }

  /** Where a link points. */
  linkAt(name: string): string | undefined {
    const node = this.node?.entries.get(name);
    return node?.kind === 'link' ? node.target : undefined;
  }

  readonly isTagged = ({ name }: Attempt): boolean => {
    for (const [tag, target] of this.tags) if (target === name && !this.unsureTags.has(tag)) return true;
    return false;
  };

  /** Every tag is where it was put. */
  checkTags(): void {
    for (const [tag, target] of this.tags) {
      if (!this.unsureTags.has(tag) && this.linkAt(tag) !== target)
        this.report('TAG', `${tag} is at ${this.linkAt(tag)} and not at ${target}`);
    }
  }

  /** What is there is durable: tags are where they are. */
  settleTags(): void {
    for (const tag of this.unsureTags) {
      const target = this.linkAt(tag);
      if (target === undefined) this.tags.delete(tag);
      else this.tags.set(tag, target);
    }
    this.unsureTags.clear();
  }

  /** What must be there is; what is refused is not. Each of `policies` may have been followed since the last time. */
  audit(seen: readonly Seen[], policies: readonly Policy[]): void {
    const present = new Set(seen.flatMap(({ attempt }) => (attempt === undefined ? [] : [attempt])));
    for (const attempt of present) {
      if (attempt.retired) this.report('RETENTION', `${attempt.name} was removed, and is there`);
      if (attempt.outcome === 'refused') this.report('UNWANTED', `${attempt.name} is there although its save was refused`);
    }
    const good = [...present].filter(({ harm }) => harm === 'none' || harm === 'hidden');
    for (const attempt of this.attempts) {
      if (!attempt.expected || attempt.retired || attempt.harm === 'removed' || present.has(attempt)) continue;
      if (attempt.noted || policies.every((policy) => mustStay([...good, attempt], policy, this.isTagged).has(attempt))) {
        this.report(
          'LOST',
          `save ${attempt.id} (${attempt.name}, sequence ${attempt.sequence}) is not there, and retention had to keep it`,
        );
      }
      attempt.retired = true;
    }
  }

  /** The power was lost: what was taken back or removed, and not durably, may be there again; what nobody has heard of may be gone. */
  powerLost(): void {
    for (const attempt of this.attempts) if (attempt.outcome === 'refused') attempt.outcome = 'unknown';
    const present = new Set(this.look().map(({ attempt }) => attempt));
    for (const attempt of this.attempts) {
      if (present.has(attempt)) attempt.retired = false;
      else if (!attempt.expected) attempt.retired = true;
    }
  }

  /** Names that have no business in a directory that was just opened, or closed. */
  strangers(): string[] {
    const left = [...(this.node?.entries ?? [])].filter(([name, node]) => name.startsWith('.') || node.kind !== 'directory');
    return left.map(([name]) => name).filter((name) => !FIXED.includes(name) && !this.tags.has(name) && !this.unsureTags.has(name));
  }
}

function filesOf(node: DirectoryNode): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (const [name, entry] of node.entries) if (entry.kind === 'file') files.set(name, entry.data);
  return files;
}

function equal(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return a === b || (b !== undefined && Buffer.compare(a, b) === 0);
}
