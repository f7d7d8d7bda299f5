// The JSON that `netwhy trace -o json` prints, as a schema: `netwhy schema trace`. Tests hold every golden answer to it.
import * as z from 'zod';
import { OUTCOMES } from './trace.ts';

export const Place = z.strictObject({ file: z.string(), line: z.int() }).meta({ id: 'place', description: 'a captured line' });
const Port = z.int().min(0).max(65535);
const PortRange = z.tuple([Port, Port]);
const Truth = z.union([z.boolean(), z.literal('unknown')]);
export const VerdictName = z.enum(['yes', 'no', 'cannot-tell']);
const HookName = z.enum(['INGRESS', 'PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING', 'EGRESS']);
const BackendName = z.enum(['legacy', 'nft', 'unknown']);

const Packet = z
  .strictObject({
    family: z.union([z.literal(4), z.literal(6)]),
    proto: z.string().describe('protocol name, or its number in decimal'),
    src: z.string(),
    dst: z.string(),
    sport: Port.optional(),
    dport: Port.optional(),
    flags: z.string().optional().describe('TCP flags, comma-separated, or NONE'),
    icmp: z.strictObject({ type: z.int(), code: z.int(), id: z.int() }).optional(),
    ttl: z.int(),
    length: z.int().describe('bytes, layer-3 header included'),
    tos: z.int(),
    mark: z.int(),
    payload: z.string().optional().describe('what follows the layer-4 header: text, bytes in hexadecimal between bars'),
    at: z.string().optional().describe('when it is there, as ISO 8601 in UTC'),
    undetermined: z
      .strictObject({
        src: z.string().optional(),
        dst: z.string().optional(),
        sport: PortRange.optional(),
        dport: PortRange.optional(),
        id: PortRange.optional(),
        mark: z.string().optional(),
      })
      .optional()
      .describe('values that the kernel picks, or that were not captured: the packet shows one of them'),
    oif: z.string().optional(),
  })
  .meta({ id: 'packet' });

const Reason = z
  .strictObject({ truth: Truth, parts: z.array(z.strictObject({ truth: Truth, text: z.string(), saw: z.string(), at: z.string() })) })
  .meta({ id: 'reason', description: 'each condition of the rule, in the order in which the kernel tries them, with the value seen' });

const Origin = z
  .strictObject({
    by: z.string().describe('kube-proxy, Calico, Docker, kernel, ...'),
    of: z.string().optional().describe('which of its things it serves: Service default/web:http'),
  })
  .meta({ id: 'origin', description: 'who made it, where its own shape says so' });

const inChain = { hook: HookName, backend: BackendName, family: z.union([z.literal(4), z.literal(6)]), table: z.string(), chain: z.string() };

const Step = z.discriminatedUnion('step', [
  z.strictObject({ step: z.literal('enter'), local: z.boolean(), device: z.string().optional(), packet: Packet }),
  z.strictObject({
    step: z.literal('rule'),
    ...inChain,
    number: z.int(),
    text: z.string(),
    origin: Origin.optional(),
    at: Place.optional(),
    truth: Truth,
    reason: Reason,
    ended: Reason.optional().describe('a later condition of the rule that was false: it ended there'),
    did: z.string().optional(),
  }),
  z.strictObject({ step: z.literal('skipped'), ...inChain, from: z.int(), to: z.int(), count: z.int(), misses: z.record(z.string(), z.int()) }),
  z.strictObject({ step: z.literal('return'), ...inChain }),
  z.strictObject({ step: z.literal('policy'), ...inChain, verdict: z.enum(['accept', 'drop']), at: Place.optional() }),
  z.strictObject({
    step: z.literal('conntrack'),
    hook: HookName,
    state: z.string(),
    direction: z.enum(['original', 'reply']).optional(),
    why: z.string().optional(),
    at: Place.optional(),
  }),
  z.strictObject({
    step: z.literal('nat'),
    hook: HookName,
    manip: z.enum(['src', 'dst']),
    from: z.string(),
    to: z.string(),
    because: z.enum(['rule', 'connection', 'clash']),
    why: z.string().optional(),
    at: Place.optional(),
  }),
  z.strictObject({
    step: z.literal('ipvs'),
    hook: HookName,
    did: z.enum(['masq', 'direct', 'tunnel', 'local', 'bypass', 'refused', 'passed']).describe('how it goes to its real server'),
    text: z.string().describe('the virtual server as captured, or the connection entry that decided'),
    server: z.string().optional(),
    why: z.string(),
    cure: z.string().optional().describe('what to do about a packet that was refused'),
    manip: z.enum(['src', 'dst']).optional(),
    from: z.string().optional(),
    to: z.string().optional(),
    at: Place.optional(),
  }),
  z.strictObject({
    step: z.literal('route'),
    purpose: z.enum(['input', 'output', 'reroute', 'source']),
    result: z.string(),
    text: z.string(),
    origin: Origin.optional(),
    at: Place.optional(),
    rule: z.strictObject({ text: z.string(), at: Place.optional() }).optional(),
  }),
  z.strictObject({ step: z.literal('neighbour'), addr: z.string(), device: z.string(), result: z.string(), at: Place.optional() }),
  z.strictObject({ step: z.literal('leave'), device: z.string(), to: z.string(), packet: Packet }),
  z.strictObject({
    step: z.literal('bridge'),
    bridge: z.string(),
    in: z.string().optional().describe("port; absent for a frame of the bridge's own host"),
    out: z.string().optional().describe('port; absent where the frame ends'),
    result: z.string(),
    at: Place.optional(),
  }),
  z
    .strictObject({ step: z.literal('encapsulate'), device: z.string(), kind: z.string(), how: z.string(), packet: Packet, at: Place.optional() })
    .describe('the packet goes into another one, which the rest of this hop and the next ones are about'),
  z.strictObject({ step: z.literal('decapsulate'), device: z.string(), packet: Packet }),
  z.strictObject({ step: z.literal('assume'), what: z.string() }),
  z.strictObject({ step: z.literal('deliver'), packet: Packet }),
]);

const Translation = z.strictObject({
  from: z.string(),
  to: z.string(),
  by: z.string().optional(),
  at: Place.optional(),
  steps: z.array(
    z.strictObject({ node: z.string(), namespace: z.string(), from: z.string(), to: z.string(), by: z.string().optional(), at: Place.optional() }),
  ),
});

const oneWay = {
  outcome: z.strictObject({
    kind: z.enum(OUTCOMES),
    node: z.string(),
    namespace: z.string(),
    at: Place.optional(),
    why: z.string(),
    device: z.string().optional(),
    nextHop: z.string().optional(),
  }),
  sent: Packet,
  packet: Packet.describe('as it ended'),
  translated: z.strictObject({ src: Translation.optional(), dst: Translation.optional() }),
  hops: z.array(
    z.strictObject({
      node: z.string(),
      namespace: z.string(),
      tunnel: z.string().optional().describe('its steps are about the packet that carries the traced one through this device'),
      steps: z.array(Step),
    }),
  ),
};

const NearMissAnswer = z.strictObject({
  node: z.string(),
  namespace: z.string(),
  ...inChain,
  number: z.int(),
  text: z.string(),
  origin: Origin.optional(),
  at: Place.optional(),
  reason: Reason,
  why: z.string(),
});

export const TraceAnswer = z
  .strictObject({
    question: z.strictObject({
      from: z.string(),
      to: z.string(),
      packet: Packet,
      node: z.string(),
      namespace: z.string(),
      arrives: z.boolean(),
      device: z.string().optional(),
      notes: z.array(z.string()),
    }),
    verdict: VerdictName,
    outcomes: z.array(
      z.strictObject({
        verdict: VerdictName,
        probability: z.number().describe('given what is supposed without a probability'),
        assumptions: z.array(z.strictObject({ what: z.string(), forked: z.boolean(), probability: z.number().optional(), at: Place.optional() })),
        ...oneWay,
        summary: z.string(),
        decisive: z.array(z.string()),
        nearMisses: z.array(NearMissAnswer),
        reply: z.strictObject(oneWay).optional(),
      }),
    ),
    findings: z.array(
      z.strictObject({
        severity: z.enum(['error', 'warning', 'note']),
        code: z.string(),
        message: z.string(),
        at: Place.optional(),
        line: z.string().optional(),
        hint: z.string().optional(),
      }),
    ),
    unknowns: z.array(z.string()),
    bounded: z.boolean().describe('there were more courses than were followed'),
    names: z.record(z.string(), z.string()).optional().describe('what the records of the cluster call an address: pod default/web-7d4, on worker1'),
  })
  .meta({
    id: 'answer',
    title: 'The answer of netwhy trace',
    description: 'All courses the packet may take, each with every decision and the captured line that made it.',
  });
