// What-if: ipvsadm.
import { describe, expect, it } from 'vitest';
import { formatEndpoint } from '../../src/net/addr.ts';
import { edited, namespaceOf } from './played.ts';

const ns = namespaceOf({
  'ipvsadm-save.txt': `-A -t 10.96.0.1:443 -s rr
-a -t 10.96.0.1:443 -r 10.1.0.1:6443 -m -w 1
-a -t 10.96.0.1:443 -r 10.1.0.2:6443 -m -w 1
-A -u 10.96.0.10:53 -s rr
`,
});

function services(command: string, of = ns): unknown {
  const after = edited(of, command);
  if (typeof after === 'string') return after;
  return after.ipvs!.services.map((s) => [s.scheduler, ...s.servers.map((r) => `${formatEndpoint(r.addr, r.port)} ${r.forwarding} ${r.weight}`)]);
}

describe('ipvsadm', () => {
  it('adds a real server, the newest first; where nobody knows the order, nobody knows it afterwards', () => {
    expect(services('ipvsadm -a -t 10.96.0.1:443 -r 10.1.0.3:6443 -m')).toEqual([
      ['rr', '10.1.0.3:6443 masq 1', '10.1.0.1:6443 masq 1', '10.1.0.2:6443 masq 1'],
      ['rr'],
    ]);
    const after = edited(ns, 'ipvsadm -a -t 10.96.0.1:443 -r 10.1.0.3:6443 -m');
    if (typeof after === 'string') throw new Error(after);
    expect(after.ipvs!.services[0]!.inKernelOrder).toBe(false);
    expect(after.ipvs!.services[1]).toBe(ns.ipvs!.services[1]);
    expect(after.ipvs!.services[0]!.servers[0]).toMatchObject({ text: '-a -t 10.96.0.1:443 -r 10.1.0.3:6443 -m', at: { file: '-e', line: 1 } });
  });
  it('gives a server that is not behind NAT the port of its service', () => {
    expect(services('ipvsadm -a -u 10.96.0.10:53 -r 10.1.0.3:5353 -g')).toEqual([expect.anything(), ['rr', '10.1.0.3:53 direct 1']]);
  });
  it('edits and deletes', () => {
    expect(services('ipvsadm -e -t 10.96.0.1:443 -r 10.1.0.2:6443 -m -w 0')).toEqual([
      ['rr', '10.1.0.1:6443 masq 1', '10.1.0.2:6443 masq 0'],
      ['rr'],
    ]);
    expect(services('ipvsadm --delete-server --tcp-service=10.96.0.1:443 --real-server=10.1.0.2:6443')).toEqual([
      ['rr', '10.1.0.1:6443 masq 1'],
      ['rr'],
    ]);
    expect(services('ipvsadm -E -t 10.96.0.1:443 -s sh')).toEqual([['sh', '10.1.0.1:6443 masq 1', '10.1.0.2:6443 masq 1'], ['rr']]);
    expect(services('ipvsadm -D -t 10.96.0.1:443')).toEqual([['rr']]);
    expect(services('ipvsadm -C')).toEqual([]);
  });
  it('restores lines', () => {
    expect(services('ipvsadm -R\n-A -t 10.96.0.2:80 -s wrr\n-a -t 10.96.0.2:80 -r 10.1.0.1:80 -m -w 2')).toEqual([
      expect.anything(),
      ['rr'],
      ['wrr', '10.1.0.1:80 masq 2'],
    ]);
  });
  it('refuses in the words of ipvsadm', () => {
    expect(services('ipvsadm -A -t 10.96.0.1:443 -s rr')).toBe('Service already exists');
    expect(services('ipvsadm -D -t 10.96.0.9:443')).toBe('No such service');
    expect(services('ipvsadm -a -t 10.96.0.9:443 -r 10.1.0.1:1 -m')).toBe('Service not defined');
    expect(services('ipvsadm -d -t 10.96.0.1:443 -r 10.1.0.9:6443')).toBe('No such destination');
    expect(services('ipvsadm -A -t 10.96.0.3:443 -r 1.1.1.1')).toBe("Illegal 'real-server' option with the 'add-service' command");
    expect(services('ipvsadm -Ln')).toMatch(/changes no virtual server|no command/);
  });
  it('does not know what is there where nothing was captured', () => {
    expect(services('ipvsadm -D -t 10.96.0.1:443', namespaceOf({}))).toMatch(/not captured/);
  });
});
