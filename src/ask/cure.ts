// Commands that might change a packet's fate: each condition that just failed, each rule, policy, route, setting and neighbour that
// decided, turned into what somebody would type. Whether one helps is for a simulation to say, not for this file.
import { familyOf } from '../net/addr.ts';
import type { Sysctl, World } from '../model/host.ts';
import type { Course, Trace } from '../model/trace.ts';
import { keyOf, type Candidate } from './candidate.ts';
import { againstWire, neighbours, onBridges, onDevices, owners } from './curelink.ts';
import { asElsewhere, balancing, forReply, withEndpoint } from './curenat.ts';
import { routesTo } from './cureroute.ts';
import { againstNft, againstPolicy, againstRule, forgottenJumps, forgottenMark, forgottenMembers, forNearMiss } from './curerule.ts';
import { isSamePlace, namespaceAt, placeName } from './failure.ts';
import { fromPeers } from './peer.ts';

/** What may be tried against a course, in no order. */
export function candidates(world: World, course: Course): readonly Candidate[] {
  const out: Candidate[] = [];
  const { trace: t } = course;
  for (const way of t.reply && t.outcome.kind === 'reply-lost' ? [t, t.reply] : [t])
    out.push(...againstEnding(world, way, way !== t), ...onBridges(world, way), ...onDevices(world, way, course));
  for (const m of course.nearMisses) out.push(...forNearMiss(world, m, t));
  if (t.reply && t.outcome.kind !== 'reply-lost') out.push(...onBridges(world, t.reply));
  if (t.outcome.kind === 'reply-lost' || t.outcome.kind === 'martian') out.push(...forReply(world, t));
  out.push(
    ...asElsewhere(world, t),
    ...withEndpoint(world, t),
    ...forgottenJumps(world, t),
    ...forgottenMark(world, t),
    ...forgottenMembers(world, t.reply ?? t),
  );
  for (const c of fromPeers(world, course)) out.push({ ...c, width: 0.1 });
  const seen = new Set<string>();
  return out.filter((c) => !seen.has(keyOf(c)) && seen.add(keyOf(c)));
}

/** Against what ended a packet's way. */
function againstEnding(world: World, way: Trace, isAnswer: boolean): Candidate[] {
  const { outcome } = way;
  const ns = namespaceAt(world, outcome);
  const on = (command: string, width: number): Candidate => ({ edit: `${placeName(outcome)}# ${command}`, width });
  const setting = Object.entries(ns?.sysctls ?? {}).find(([, s]) => isSamePlace(s.at, outcome.at));
  if (setting) return [...againstSetting(setting, on), ...otherwise(world, way, isAnswer)];
  return otherwise(world, way, isAnswer);
}

/** A setting that decided, the other way round. */
function againstSetting([key, { value }]: readonly [string, Sysctl], on: (command: string, width: number) => Candidate): Candidate[] {
  const others = key.endsWith('.rp_filter') ? ['0', '2'] : ['0', '1'];
  const own = others.filter((v) => v !== value).map((v) => on(`sysctl -w ${key}=${v}`, 2));
  // a device's own switch follows the one of all
  const all = /^net\.ipv([46])\.conf\..+\.forwarding$/.exec(key)?.[1];
  return all === undefined ? own : [on(all === '4' ? 'sysctl -w net.ipv4.ip_forward=1' : 'sysctl -w net.ipv6.conf.all.forwarding=1', 1.9), ...own];
}

function otherwise(world: World, way: Trace, isAnswer: boolean): Candidate[] {
  const { outcome } = way;
  const last = way.hops.at(-1);
  const step = last?.steps.at(-1);
  const at = placeName(outcome);
  const ns = namespaceAt(world, outcome);
  const on = (command: string, width: number): Candidate => ({ edit: `${at}# ${command}`, width });
  switch (outcome.kind) {
    case 'dropped':
    case 'rejected':
      if (step?.step === 'rule' && !step.table.includes(' ')) return againstRule(at, step, way.final, isAnswer);
      if (step?.step === 'policy' && !step.table.includes(' ')) return againstPolicy(at, step, way.final, isAnswer);
      if (step?.step === 'ipvs') return balancing(at);
      return step?.step === 'rule' || step?.step === 'policy'
        ? againstNft(at, step, way.final, isAnswer)
        : [...againstWire(world, outcome), ...neighbours(world, way)];
    case 'not-forwarding': {
      const six = familyOf(way.final.dst) === 6;
      return [on(`sysctl -w ${six ? 'net.ipv6.conf.all.forwarding' : 'net.ipv4.ip_forward'}=1`, 2)];
    }
    case 'martian': {
      const device = last?.steps.find((s) => s.step === 'enter')?.device;
      return device === undefined
        ? []
        : [
            on(`sysctl -w net.ipv4.conf.${device}.rp_filter=2`, 2),
            on('sysctl -w net.ipv4.conf.all.rp_filter=2', 3),
            ...routesTo(world, outcome, way.final.src, way),
          ];
    }
    case 'no-route':
    case 'left':
    case 'ttl-exceeded':
    case 'loop':
      return way.hops.flatMap((hop) => routesTo(world, hop, way.final.dst, way));
    case 'no-server':
      return balancing(at);
    case 'blackhole':
    case 'prohibited': {
      const route = ns?.routes.find((r) => r.at.file === outcome.at?.file && r.at.line === outcome.at.line);
      return route ? [on(`ip route del ${route.text}`, 2)] : [];
    }
    case 'not-for-us':
    case 'no-neighbour':
      return [...neighbours(world, way), ...owners(world, way), ...way.hops.flatMap((hop) => routesTo(world, hop, way.final.dst, way))];
    default:
      return [];
  }
}
