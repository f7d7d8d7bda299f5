// nfacct: its objects are made by netlink, for which machines seldom have the tool.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeKernel } from '../oracle/kernel.ts';
import { BASE, FROM_OUTSIDE, load, save } from './claim.ts';
import { judge, line, worldOf } from './compare.ts';
import { openNode, type Node } from './node.ts';

/** NFNL_MSG_ACCT_NEW of an object, with a quota of so many packets. */
const MAKE = `
import socket, struct, sys
def attr(kind, data):
    return struct.pack('=HH', 4 + len(data), kind) + data + b'\\0' * (-len(data) % 4)
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
for name, quota in (a.split('=') for a in sys.argv[1:]):
    body = struct.pack('=BBH', 0, 0, 0) + attr(1, name.encode() + b'\\0')
    if quota:
        body += attr(5, struct.pack('!I', 1)) + attr(6, struct.pack('!Q', int(quota)))
    s.send(struct.pack('=IHHII', 16 + len(body), 7 << 8, 0x405, 1, 0) + body)
    error = struct.unpack('=i', s.recv(4096)[16:20])[0]
    if error:
        sys.exit('nfacct %s: %d' % (name, error))
`;

describeKernel('nfacct', () => {
  let node: Node | undefined;
  beforeAll(() => {
    node = openNode();
  });
  afterAll(async () => {
    await node?.close();
  });
  for (const backend of ['legacy', 'nft'] as const)
    it(`an object without a quota is true, one with a quota from when it is used up (${backend})`, async (context) => {
      await node!.load(load(BASE, {}));
      await node!.run(['python3', '-c', MAKE, 'plain=', 'two=2']).catch((problem: Error) => {
        if (problem.message.includes('nfacct plain')) context.skip('this kernel: no nfacct');
        throw problem;
      });
      await node!.rules({ [backend]: save({ filter: ['-A FORWARD -m nfacct --nfacct-name plain', '-A FORWARD -m nfacct --nfacct-name two'] }) });
      const world = worldOf(await node!.capture());
      const shots = [1, 2, 3, 4].map((n) => ({ ...FROM_OUTSIDE, sport: 40000 + n }));
      const sightings = await node!.packets(shots, { fresh: true });
      const seen = sightings.map((s, i) => {
        const c = judge(world, shots[i]!, s);
        expect(c.taken, `${line(c.kernel)} of ${c.courses.map(line).join(' | ')}`).toBeDefined();
        return c.kernel.rules.map((r) => r.at(-1)).join();
      });
      expect(seen).toEqual(['1', '1', '1,2', '1,2']);
    });
});
