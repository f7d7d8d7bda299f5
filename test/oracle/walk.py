"""Walks: what the trace of one packet through one namespace adds up to."""
import contextlib
import os

from netlink import LOG_MESSAGE, TRACE_MESSAGE, read_log, read_trace
from packet import parse

FAMILIES = {1: 'inet', 2: 'ip', 3: 'arp', 5: 'netdev', 7: 'bridge', 10: 'ip6'}


def drain(namespace):
    list(namespace.trace.messages(False))
    for fd in namespace.taps.values():
        with contextlib.suppress(BlockingIOError):
            while os.read(fd, 70000):
                pass


def collect(namespace, passes, asked):
    """Puts the events that wait in a namespace's socket into the walks they belong to."""
    for kind, family, body in namespace.trace.messages(False):
        if kind == TRACE_MESSAGE:
            event = read_trace(family, body)
        elif kind == LOG_MESSAGE:
            event = read_log(family, body, namespace.rules_in)
        else:
            continue
        if event is None:
            continue
        here = [p for p in passes if p['namespace'] == namespace.name]
        header = parse(event['header']) if 'header' in event else None
        if 'id' in event:
            walk = next((p for p in reversed(here) if event['id'] in p['ids']), None)
            begins = event['table'] == 'oracle' and event['chain'] in ('prerouting', 'output')
            if walk is None and not begins:
                # A packet that a bridge hands up or on gets another id halfway (skb_iif is part of it).
                walk = next((p for p in reversed(here) if 'entered' in p and not ended(p) and continues(p, header, asked)), None)
                if walk is not None:
                    walk['ids'].append(event['id'])
            if walk is None or begins and ('left' in walk or 'arrived' in walk):
                walk = {'namespace': namespace.name, 'ids': [event['id']], 'local': event['chain'] == 'output', 'rules': [], 'events': 0, 'mark': 0}
                passes.append(walk)
        else:
            # A legacy event has no id. Our own table was asked first, so the packet is one of those known already.
            role = role_of(header, asked)
            walk = next((p for p in reversed(here) if p['role'] == role), here[-1] if here else None)
            if walk is None:
                continue
        note(walk, event, header, namespace, asked)


def ended(walk):
    return 'left' in walk or 'arrived' in walk


def continues(walk, header, asked):
    return header is None or (walk['role'] == role_of(header, asked) and walk['entered']['ttl'] - header['ttl'] in (0, 1))


def role_of(header, asked):
    if header is None:
        return 'other'
    if asked and header['proto'] == 6 and header.get('flags') == asked['flags']:
        return 'request'
    return header['role']


def note(walk, event, header, namespace, asked):
    walk['events'] += 1
    if header is not None and 'entered' not in walk:
        walk['entered'], walk['role'] = header, role_of(header, asked)
    walk.setdefault('role', 'other')
    if header is not None and 'entered' in walk:
        walk['seen'] = header
    walk['mark'] = event.get('mark', walk['mark'] if event['backend'] == 'nft' and event['kind'] != 'rule' else event.get('mark', 0))
    for key in ('iif', 'oif'):
        if key in event:
            walk[key] = namespace.devices.get(event[key], str(event[key]))
    if event['table'] == 'oracle':
        if event['chain'] == 'input':
            walk['arrived'] = header or walk.get('arrived')
        elif event['chain'] == 'postrouting':
            walk['left'] = header or walk.get('left')
        walk.pop('last', None)
        return
    walk['last'] = event
    if event['kind'] == 'rule':
        walk['rules'].append(event)


def finish(walk, namespace):
    """A walk as it is told: rules with their numbers, and how it ended."""
    if namespace.handles is None:
        with namespace.entered():
            namespace.handles = namespace.control.rule_numbers()

    def place(event):
        found = {'backend': event['backend'], 'family': FAMILIES.get(event['family'], str(event['family'])), 'table': event['table'], 'chain': event['chain']}
        if event['kind'] == 'rule':
            found['number'] = event['number'] if 'number' in event else namespace.handles.get((event['family'], event['table'], event['chain'], event['handle']))
        return found

    told = {k: walk[k] for k in ('namespace', 'local', 'iif', 'oif', 'entered', 'seen', 'left', 'arrived', 'mark') if walk.get(k) is not None}
    for key in ('entered', 'seen', 'left', 'arrived'):
        if key in told:
            told[key] = {k: v for k, v in told[key].items() if k != 'role'}
    if 'carries' in walk:
        told['outer'], told['carries'] = True, walk['carries']
    told['rules'] = [place(e) for e in walk['rules']]
    last = walk.get('last')
    if 'arrived' in walk:
        told['end'] = 'delivered'
    elif last is not None and refused(last, namespace):
        told['end'], told['by'] = 'dropped', place(last)
    elif 'left' in walk:
        told['end'] = 'left'
    else:
        told['end'] = 'gone'
    return told


def refused(event, namespace):
    if event['backend'] == 'nft':
        return event.get('verdict') == 'drop'
    chain = namespace.chains.get((event['family'], event['table'], event['chain']), {'rules': [], 'policy': '-'})
    if event['kind'] == 'policy':
        return chain['policy'] == 'DROP'
    if event['kind'] != 'rule':
        return False
    words = chain['rules'][event['number'] - 1].split()
    return 'DROP' in words or 'REJECT' in words


def ends(header):
    """What tells a connection's packets apart."""
    return (header['src'], header.get('sport', header.get('id')), header['dst'], header.get('dport'))


def related(passes, q):
    """The walks of this packet and its answers, without what earlier ones left behind."""
    def turned(header):
        return (header['dst'], header.get('dport', header.get('id')), header['src'], header.get('sport'))

    known, found, size = {'request': set(), 'reply': set()}, [], -1
    while size != len(found):
        size = len(found)
        for p in passes:
            if p in found or 'entered' not in p:
                continue
            header, role = p['entered'], p['role']
            first = role == 'request' and p['namespace'] == q['namespace'] and header.get('sport', q['sport']) == q['sport'] \
                and header['dst'] == q['dst'] and p['local'] == ('device' not in q)
            if role == 'error' or first or ends(header) in known.get(role, ()):
                found.append(p)
                if role == 'request':
                    # An answer goes to where the request was seen from, and may be made at any place that saw it.
                    known['reply'] |= {turned(p[k]) for k in ('entered', 'arrived', 'left') if p.get(k)}
                if role in known:
                    known[role] |= {ends(p[k]) for k in ('entered', 'left') if p.get(k)}
    found += outer(passes, found)
    return [p for p in passes if p in found]


def outer(passes, found):
    """The walks of the packets in which tunnels carry the found ones, each with the role and the TTL of what it carries."""
    carriers = []
    for i, p in enumerate(passes):
        if p['role'] != 'outer' or not p['local'] or 'entered' not in p:
            continue
        inner = next((w for w in reversed(passes[:i]) if w['namespace'] == p['namespace'] and w['role'] != 'outer' and 'left' in w), None)
        if inner is None or not any(inner is w for w in found):
            continue
        places = set()
        for w in passes:
            # Later packets of the connection travel alike: the first of each namespace is the one.
            if w['role'] == 'outer' and not w['local'] and 'entered' in w and 'carries' not in w and w['namespace'] not in places \
                    and w['namespace'] != p['namespace'] and ends(w['entered']) == ends(p['entered']):
                places.add(w['namespace'])
                w['carries'] = inner['left']['ttl']
                carriers.append((w, inner))
        p['carries'] = inner['left']['ttl']
        carriers.append((p, inner))
    for w, inner in carriers:
        w['role'] = inner['role']
    return [w for w, _ in carriers]
