// Properties of a scenario: claims about all packets of a space. Part of the scenario file's format.
import * as z from 'zod';

const Blocks = z
  .union([
    z.string(),
    z.array(z.string()).min(1),
    z.strictObject({
      any: z.union([z.string(), z.array(z.string()).min(1)]).describe('blocks, without what no wire carries: 0/8, 127/8, multicast, 240/4'),
      except: z.union([z.string(), z.array(z.string())]).optional(),
    }),
  ])
  .describe('ADDR, ADDR/LENGTH, ADDR-ADDR or a name of the capture; a list of them; or { any: ..., except: ... }');

const Proto = z.union([z.string(), z.int().min(0).max(255)]);
const Ports = z.union([z.int(), z.string(), z.array(z.union([z.int(), z.string()])).min(1)]).describe('PORT or "PORT-PORT", or a list of them');

/** The packets that a property is about. */
export const PropertySpace = z
  .strictObject({
    from: Blocks.optional().describe('a namespace or node that sends them; or blocks of addresses, with `in`'),
    in: z.string().optional().describe('NODE/IFACE where they come in from outside'),
    to: Blocks,
    proto: z
      .union([Proto, z.array(Proto).min(1)])
      .optional()
      .describe('default: tcp and udp'),
    sport: Ports.optional(),
    dport: Ports.optional(),
    flags: z.string().optional().describe('TCP flags (default SYN: new connections)'),
    'icmp-type': z.union([z.int(), z.string()]).optional().describe('name, TYPE or TYPE/CODE (default echo-request)'),
  })
  .meta({ id: 'space' });

const Names = z.union([z.string(), z.array(z.string()).min(1)]);

/** What has to hold for each of them. */
export const Claims = z
  .strictObject({
    delivered: z.boolean().optional().describe('it arrives, or leaves the captured world'),
    'reply-delivered': z.boolean().optional().describe('and so does the answer'),
    dropped: z.boolean().optional().describe('a rule, a policy or a wire ends it without a word'),
    rejected: z.boolean().optional(),
    masqueraded: z.boolean().optional().describe('its source address is translated, unless its own node refuses it at once'),
    snat: z.string().optional().describe('the source address that it gets'),
    dnat: z.string().optional().describe('ADDR or ADDR:PORT that its destination is translated to'),
    endpoints: z.array(z.string()).min(1).optional().describe('exactly these ADDR[:PORT], all of them, and no others'),
    'own-endpoints': z.boolean().optional().describe('what a Service translates goes to an endpoint of the same Service, as the rules name them'),
    passes: Names.optional().describe('NODE[/NAMESPACE], a chain, or NODE:TABLE:CHAIN:NUMBER'),
    avoids: Names.optional(),
    certain: z.boolean().optional().describe('nothing that is not captured or not modelled decides'),
    loop: z.boolean().optional().describe('it goes in circles'),
    'same-as': z
      .strictObject({ from: z.string().optional(), in: z.string().optional(), scenario: z.string().optional() })
      .refine((c) => Object.keys(c).length > 0, 'nothing says what it is compared with: from, in or scenario')
      .optional()
      .describe('it fares as the same packet does that is sent from there, or in the scenario of that path, from this one'),
  })
  .refine((c) => Object.keys(c).length > 0, 'nothing is claimed')
  .meta({ id: 'claims' });

export const Property = z.strictObject({ name: z.string(), for: PropertySpace, expect: Claims }).meta({ id: 'property' });

export type Property = z.infer<typeof Property>;
export type Claims = z.infer<typeof Claims>;
