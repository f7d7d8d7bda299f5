// The machine: random nodes with IPVS played on a guest's kernel and asked of netwhy, the same ones from the same seed.
import type { World } from '../../src/model/host.ts';
import { filesBefore, judge, worldOf, type Comparison } from '../probes/compare.ts';
import { Dice } from '../probes/dice.ts';
import type { Load, Node, Shot, Sighting } from '../probes/node.ts';
import type { Suspect } from '../probes/shrink.ts';
import { answerTo, errorAbout } from '../probes/story.ts';
import { makeGround, makeScene, makeShot, makeStory, type Scene, type Step, type Story } from './generate.ts';

/** Rule sets that share one ground, one after the other. */
export const SCENES_PER_GROUND = 8;
const SINGLES = 14;
const STORIES = 3;

/** A node with its packets. */
export interface Case {
  readonly at: number;
  readonly scene: Scene;
  readonly fresh: boolean;
  readonly single: readonly Shot[];
  readonly stories: readonly Story[];
}

/** The case with a number: everything about it follows from the seed. */
export function makeCase(seed: number, at: number): Case {
  const group = Math.floor(at / SCENES_PER_GROUND);
  const ground = makeGround(new Dice(seed * 7_368_787 + group * 2 + 1), group % 4 === 3);
  const d = new Dice(seed * 100_003 + at * 2);
  const scene = makeScene(d, ground);
  // connections outlive their rule set, so those of another begin elsewhere
  const from = (at % SCENES_PER_GROUND) * 100;
  return {
    at,
    scene,
    fresh: at % SCENES_PER_GROUND === 0,
    single: d.some(SINGLES, SINGLES, (i) => makeShot(d, scene, from + i)),
    stories: d.some(STORIES, STORIES, (i) => makeStory(d, scene, from + 50 + i)),
  };
}

/** A packet as the kernel handled it, and what the tools would have printed just before. */
export interface Seen {
  readonly shot: Shot;
  readonly sighting: Sighting;
  /** The state of connections and services, by file. */
  readonly now: Readonly<Record<string, string>>;
  /** It is the first of a story, or has none. */
  readonly begins: boolean;
}

/** A case that the kernel has played. */
export interface Played {
  readonly load: Load;
  readonly files: Readonly<Record<string, string>>;
  readonly seen: readonly Seen[];
}

/** Only shows what some services have, and has to be of the same time as the other listing. */
const LIMITS = 'ipvsadm-thresholds.txt';

function without(files: Readonly<Record<string, string>>, name: string): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(files).filter(([n]) => n !== name));
}

interface Sent {
  readonly shot: Shot;
  readonly sighting: Sighting;
}

/** Of what goes inside of another packet, the inner one is what its end gets. */
function inside(s: Sighting): Sighting {
  return s.last?.inner && s.last.type === undefined ? { ...s, last: s.last.inner } : s;
}

/** The client's next segment: a socket of the node lets a packet of our making speak for it. */
function segment(story: Story, { sighting }: Sent, flags: string): Shot | undefined {
  const { first } = story;
  if (first.proto !== 'tcp') return undefined;
  const numbers = { flags, seq: ((sighting.first?.seq ?? 1000) + 1) >>> 0, ack: 1001 };
  if (!first.local) return { ...first, ...numbers };
  const { src, sport } = sighting.first ?? {};
  return src === undefined || sport === undefined
    ? undefined
    : { local: true, raw: true, proto: 'tcp', dst: first.dst, dport: first.dport!, src, sport, ...numbers };
}

function nextShot(load: Load, story: Story, step: Step, been: Partial<Record<Step | 'first', Sent>>): Shot | undefined {
  const { first, other } = story;
  const there = been.first!;
  const end = inside(there.sighting);
  // after a reset, what is within the window is a riddle
  const over = been.reset !== undefined || been['answer-reset'] !== undefined;
  switch (step) {
    case 'again':
    case 'edit-again':
      return first;
    case 'next':
    case 'edit-next':
      return first.sport === undefined ? first : { ...first, sport: first.sport + 1000 };
    case 'elsewhere':
      return other;
    case 'answer':
      return answerTo(load, first, end, 'SYN,ACK');
    case 'answer-ack':
    case 'answer-fin':
    case 'answer-reset': {
      const flags = { 'answer-ack': 'ACK', 'answer-fin': 'FIN,ACK', 'answer-reset': 'RST,ACK' }[step];
      return first.proto === 'tcp' ? answerTo(load, first, end, flags, 1001) : undefined;
    }
    case 'ack':
    case 'edit-ack':
      return (over ? undefined : segment(story, there, 'ACK')) ?? first;
    case 'fin':
      return over ? undefined : segment(story, there, 'FIN,ACK');
    case 'reset':
      return segment(story, there, 'RST');
    case 'error':
      return errorAbout(load, story, end);
    case 'back-error':
      return been.answer && errorAbout(load, story, inside(been.answer.sighting));
    default:
      return step satisfies never;
  }
}

/** Has one guest play cases, and keeps what it need not be asked again. */
export class Player {
  readonly node: Node;
  private ground: Readonly<Record<string, string>> = {};
  private stands = false;
  /** Milliseconds spent waiting for the guest. */
  waited = 0;

  constructor(node: Node) {
    this.node = node;
  }

  /** The next load is a node of its own, whatever stood before. */
  reset(): void {
    this.stands = false;
  }

  private async wait<T>(answer: Promise<T>): Promise<T> {
    const since = performance.now();
    try {
      return await answer;
    } finally {
      this.waited += performance.now() - since;
    }
  }

  private async load({ scene, fresh }: Case): Promise<Readonly<Record<string, string>>> {
    const { node } = this;
    if (fresh || !this.stands) {
      this.stands = false;
      await this.wait(node.load(scene.load));
      this.ground = await this.wait(node.capture());
      if (!scene.load.ipvs?.includes(' -x ')) this.ground = without(this.ground, LIMITS);
    } else {
      this.stands = false;
      const { ipset, legacy, legacy6, ipvs, sysctls } = scene.load;
      const rules = Object.entries({ ipset, legacy, legacy6, ipvs, sysctls }).filter(([, text]) => text !== undefined);
      await this.wait(node.swap(Object.fromEntries(rules)));
      const save = `ip${scene.t.six ? '6' : ''}tables-legacy-save.txt`;
      const limited = ipvs?.includes(' -x ') ? [LIMITS] : [];
      const changed = [save, 'ipvsadm-save.txt', 'sysctl-ipvs.txt', ...(ipset === undefined ? [] : ['ipset-save.txt']), ...limited];
      this.ground = { ...without(this.ground, LIMITS), 'ipset-save.txt': '', ...(await this.wait(node.capture(changed))) };
    }
    this.stands = true;
    return this.ground;
  }

  async play(c: Case): Promise<Played> {
    const { load } = c.scene;
    const files = await this.load(c);
    let now: Readonly<Record<string, string>> = {};
    const seen: Seen[] = [];
    const send = async (shots: readonly Shot[], fresh: boolean, begins: boolean): Promise<Sighting> => {
      const sightings = await this.wait(this.node.packets(shots, { list: true, fresh }));
      for (const [i, sighting] of sightings.entries()) {
        now = filesBefore(now, sighting);
        seen.push({ shot: shots[i]!, sighting, now, begins });
      }
      return sightings.at(-1)!;
    };
    await send(c.single, true, true);
    for (const story of c.stories) {
      const { first, steps } = story;
      const been: Partial<Record<Step | 'first', Sent>> = { first: { shot: first, sighting: await send([first], true, true) } };
      let edits = 0;
      for (const step of steps) {
        const next = nextShot(load, story, step, been);
        if (!next) continue;
        const shot = step.startsWith('edit') ? { ...next, edit: story.edits[edits++]! } : next;
        been[step] = { shot, sighting: await send([shot], false, false) };
      }
    }
    return { load, files, seen };
  }
}

/** The state that changes from packet to packet, on a node that is read once. */
function worldNow(base: World, files: Readonly<Record<string, string>>, now: Seen['now']): World {
  const [ns] = base.namespaces;
  const listed = Object.fromEntries(Object.entries(files).filter(([name]) => name.startsWith('ipvsadm')));
  const { conntrack, ipvs, captured } = worldOf({ ...listed, ...now }).namespaces[0]!;
  return { ...base, namespaces: [{ ...ns!, conntrack, ...(ipvs && { ipvs }), captured: { ...ns!.captured, ...captured } }] };
}

/** What netwhy says about every packet of a case. */
export function compareAll({ files, seen }: Played): Comparison[] {
  const base = worldOf(files);
  return seen.map(({ shot, sighting, now }) => judge(worldNow(base, files, now), shot, sighting));
}

/** It ends where netwhy says that it cannot tell, and until there they agree. */
export function isUnsure({ kernel, courses, traces }: Comparison): boolean {
  return traces.some((t, i) => t.outcome.kind === 'cannot-tell' && courses[i]!.rules.every((r, k) => kernel.rules[k] === r));
}

/** The packet with a number, with those of its connection before it. */
export function suspectOf({ load, seen }: Played, at: number): Suspect {
  const from = seen.findLastIndex((s, i) => i <= at && s.begins);
  return { load, shots: seen.slice(from, at + 1).map((s) => s.shot) };
}
