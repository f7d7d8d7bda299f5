// The scenario file: a claim about a network. `netwhy schema scenario` prints it as JSON Schema.
import * as z from 'zod';
import { Property } from './property.ts';
import { OUTCOMES } from './trace.ts';

const Proto = z.union([z.string(), z.int().min(0).max(255)]).describe('protocol: tcp, udp, sctp, icmp, ... or its number');
/** A number, or what the command line takes in its place. */
const Text = z.union([z.int(), z.string()]);
const Port = z.int().min(0).max(65535);

/** What must come out of a question. */
export const Expect = z
  .strictObject({
    outcome: z.enum(OUTCOMES).optional().describe('how the packet, or its reply, ends'),
    reply: z.enum(OUTCOMES).optional().describe('how the reply ends'),
    masqueraded: z.boolean().optional().describe('whether the source address was translated on the way'),
    dnat: z.string().optional().describe('ADDR:PORT that the destination was translated to'),
    snat: z.string().optional().describe('the source address that it has in the end'),
    path: z.array(z.string()).min(1).optional().describe('NODE[/NAMESPACE], one after the other, that the packet crosses'),
    rule: z.string().optional().describe('words of a rule that has to match on the way, or on the way back'),
    code: z.string().optional().describe('the named pattern that shows first: `netwhy explain` lists them'),
    because: z.string().optional().describe('words that the answer must contain'),
  })
  .meta({ id: 'expect' });

export const ScenarioQuestion = z
  .strictObject({
    name: z.string(),
    from: z.string().describe('an address, a namespace (worker1/pod-a), a node, local, or pod/NAMESPACE/NAME'),
    to: z.string().describe('ADDR, ADDR:PORT, or a name: pod/NAMESPACE/NAME:PORT, svc/NAMESPACE/NAME:PORT, node/NAME:PORT'),
    proto: Proto.optional(),
    sport: Port.optional(),
    in: z.string().optional().describe('NODE:IFACE where a packet from outside comes in'),
    mark: Text.optional().describe('fwmark where the packet begins'),
    flags: z.string().optional().describe('TCP flags: SYN, SYN,ACK, ...'),
    'ct-state': z.string().optional().describe('what the first conntrack lookup finds: NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED'),
    'icmp-type': Text.optional().describe('name, TYPE or TYPE/CODE'),
    about: z.string().optional().describe('the packet an ICMP error quotes: tcp 10.0.0.1:40000 > 8.8.8.8:80'),
    ttl: Text.optional(),
    length: Text.optional().describe('layer-3 length in bytes'),
    tos: Text.optional(),
    payload: z.string().optional().describe('what follows the layer-4 header: text, bytes in hexadecimal between bars'),
    at: z.string().optional().describe('when it is there, in UTC: 2026-11-21T14:30'),
    uid: Text.optional(),
    gid: Text.optional(),
    mac: z.string().optional().describe('source link-layer address'),
    expect: Expect.optional(),
  })
  .meta({ id: 'question' });

const CapturedNode = z.strictObject({
  capture: z.string().describe('folder with what the node printed'),
  namespaces: z.record(z.string(), z.string()).optional().describe('further network namespaces of the node and their folders'),
});

const StubNode = z.strictObject({
  addresses: z
    .array(z.string())
    .describe('ADDR/LENGTH [dev NAME]; without dev it is eth0. The stub answers for them and forwards what it has routes for'),
  routes: z.array(z.string()).optional().describe('as `ip route` prints them'),
});

const Ends = z.array(z.string()).describe('NODE/IFACE or NODE/NAMESPACE/IFACE');

const Ports = z.union([Port, z.string()]);

/** What a wire does not carry; what is left out stands for every value. */
export const Denial = z
  .strictObject({
    proto: Proto.optional(),
    from: z.string().optional().describe('ADDR or ADDR/LENGTH'),
    to: z.string().optional().describe('ADDR or ADDR/LENGTH'),
    sport: Ports.optional().describe('PORT or PORT-PORT'),
    dport: Ports.optional().describe('PORT or PORT-PORT'),
  })
  .meta({ id: 'deny' });

const Wire = z
  .strictObject({ links: Ends, deny: z.array(Denial).optional() })
  .describe('a segment with rules of its own: a security group, an access list of a switch');

export const Scenario = z
  .strictObject({
    title: z.string(),
    nodes: z.record(z.string(), z.union([CapturedNode, StubNode])),
    wires: z
      .record(z.string(), z.union([Ends, Wire]))
      .optional()
      .describe('link-layer segments: NODE/IFACE or NODE/NAMESPACE/IFACE'),
    questions: z.array(ScenarioQuestion).optional(),
    properties: z.array(Property).optional().describe('claims about all packets of a space: `netwhy check`'),
    edits: z
      .array(z.string())
      .optional()
      .describe("what `netwhy whatif` changes where it is given no edits: 'NODE[/NAMESPACE]# COMMAND', as typed on that node"),
  })
  .meta({
    id: 'scenario',
    title: 'A netwhy scenario',
    description: 'Captures of some nodes, the wires between them, questions and expected answers.',
  });

export type Scenario = z.infer<typeof Scenario>;
export type ScenarioQuestion = z.infer<typeof ScenarioQuestion>;
export type Expect = z.infer<typeof Expect>;
export type Denial = z.infer<typeof Denial>;
