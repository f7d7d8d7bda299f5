// What-if: sysctl.
import { describe, expect, it } from 'vitest';
import { edited, namespaceOf } from './played.ts';

const FEW = namespaceOf({ 'sysctl.txt': 'net.ipv4.ip_forward = 0\nnet.ipv4.conf.all.rp_filter = 0\nnet.ipv4.conf.eth0/100.forwarding = 0\n' });
const WHOLE = namespaceOf({
  'sysctl.txt': 'kernel.ostype = Linux\nfs.file-max = 9\nvm.swappiness = 60\nnet.core.somaxconn = 4096\nnet.ipv4.ip_forward = 0\n',
});

function values(command: string, ns = FEW): unknown {
  const after = edited(ns, command);
  return typeof after === 'string' ? after : Object.fromEntries(Object.entries(after.sysctls).map(([k, v]) => [k, v.value]));
}

describe('sysctl', () => {
  it('sets several keys, in every spelling of each', () => {
    const after = values('sysctl -w net/ipv4/conf/eth0.100/forwarding=1 net.ipv4.conf.all.rp_filter=1 ');
    expect(after).toMatchObject({
      'net.ipv4.conf.eth0/100.forwarding': '1',
      'net.ipv4.conf.eth0.100.forwarding': '1',
      'net.ipv4.conf.all.rp_filter': '1',
      'net.ipv4.ip_forward': '0',
    });
  });
  it('ip_forward sets the forwarding of every device', () => {
    expect(values('sysctl -w net.ipv4.ip_forward=1')).toMatchObject({
      'net.ipv4.conf.eth0.100.forwarding': '1',
      'net.ipv4.conf.all.forwarding': '1',
    });
  });
  it('leaves the world before it as it was', () => {
    values('sysctl -w net.ipv4.ip_forward=1');
    expect(FEW.sysctls['net.ipv4.ip_forward']!.value).toBe('0');
  });
  it('takes a key for missing only where all keys were captured', () => {
    const bridge = 'net.bridge.bridge-nf-call-iptables';
    expect(values(`sysctl -w ${bridge}=1`)).toMatchObject({ [bridge]: '1' });
    expect(values(`sysctl -w ${bridge}=1`, WHOLE)).toBe(
      'sysctl: cannot stat /proc/sys/net/bridge/bridge-nf-call-iptables: No such file or directory',
    );
    expect(values(`sysctl -e -w ${bridge}=1`, WHOLE)).not.toHaveProperty(bridge);
  });
  it('refuses what is no assignment', () => {
    expect(values('sysctl -w net.ipv4.ip_forward')).toMatch(/sets nothing/);
    expect(values('sysctl -p /etc/sysctl.conf')).toMatch(/cannot be carried out/);
    expect(values('sysctl -w net.ipv4.ip_forward=yes')).toBe('sysctl: setting key "net.ipv4.ip_forward": Invalid argument');
  });
});
