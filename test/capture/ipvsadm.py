#!/usr/bin/env python3
"""What the kernel and ipvsadm list after each of some rule sets, as ipvsadm-restore takes them: JSON lists in and out."""
import json
import subprocess
import sys

LISTINGS = {'ipvsadm-%s.txt' % '-'.join(o.strip('-') for o in options): ['ipvsadm', *options] for options in (
    ['-Sn'], ['-Ln'], *(['-Ln', '--' + o] for o in ('nosort', 'stats', 'rate', 'thresholds', 'persistent-conn', 'tun-info')))}
LISTINGS['proc-net-ip_vs.txt'] = ['cat', '/proc/net/ip_vs']


def run(*command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode or done.stderr:
        raise SystemExit('%s: %s\n%s' % (' '.join(command), done.stderr, text or ''))
    return done.stdout


run('modprobe', '-a', 'ip_vs', 'ip_vs_pe_sip')
answers = []
for rules in json.load(sys.stdin):
    run('ipvsadm', '-C')
    run('ipvsadm', '-R', text=rules)
    answers.append({name: run(*command) for name, command in LISTINGS.items()})
json.dump(answers, sys.stdout)
