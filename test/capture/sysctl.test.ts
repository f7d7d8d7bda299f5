import { describe, expect, it } from 'vitest';
import { readSysctls } from '../../src/capture/sysctl.ts';
import { readUname } from '../../src/capture/uname.ts';
import { captured } from './captured.ts';

describe('sysctl -a', () => {
  it('gives each setting its value and line', () => {
    const { sysctls, findings } = readSysctls(captured('kube-proxy-1.26-iptables/node1/sysctl.txt'), 'sysctl.txt');
    expect(findings).toEqual([]);
    expect(sysctls['net.ipv4.ip_forward']).toMatchObject({ value: expect.stringMatching(/^[01]$/), at: { file: 'sysctl.txt' } });
    expect(Object.keys(sysctls).length).toBeGreaterThan(100);
  });

  it('a device with a dot is found as printed and with dots alone', () => {
    const { sysctls } = readSysctls(captured('tools/sysctl.txt'), 'f');
    expect(sysctls['net.ipv4.conf.eth0/100.rp_filter']!.value).toBe('0');
    expect(sysctls['net.ipv4.conf.eth0.100.rp_filter']).toEqual(sysctls['net.ipv4.conf.eth0/100.rp_filter']);
  });

  it('is the same read from /proc/sys', () => {
    const proc = readSysctls(captured('tools/proc-sys.txt'), 'f').sysctls;
    const sysctl = readSysctls(captured('tools/sysctl.txt'), 'f').sysctls;
    expect(Object.keys(proc)).toEqual(['net.ipv4.ip_forward', 'net.ipv4.conf.eth0.100.rp_filter', 'net.ipv4.conf.eth0.rp_filter']);
    for (const [key, { value }] of Object.entries(proc)) expect(sysctl[key]!.value).toBe(value);
  });

  it('complaints of sysctl are passed over, other lines are findings', () => {
    const read = readSysctls(
      "sysctl: permission denied on key 'net.ipv4.tcp_fastopen_key'\nnet.ipv4.ip_forward=1\nwhat is this\n__proto__ = 1\n",
      'f',
    );
    expect(Object.keys(read.sysctls)).toEqual(['net.ipv4.ip_forward', '__proto__']);
    expect(read.findings.map((f) => [f.at.line, f.code])).toEqual([[3, 'unknown-line']]);
  });
});

describe('uname', () => {
  it('-a gives the host and the kernel, -r the kernel', () => {
    expect(readUname(captured('kube-proxy-1.26-ipvs/node1/uname.txt'))).toEqual({ hostname: 'node1', kernel: '6.1.176' });
    expect(readUname('5.15.0-91-generic\n')).toEqual({ kernel: '5.15.0-91-generic' });
    expect(readUname('uname: not found')).toEqual({});
  });
});
