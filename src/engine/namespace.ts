// One packet's visit to one network namespace: the hooks in their order, with conntrack, NAT and routing in between.
// ip_rcv() ... ip_forward() ... ip_output(), net/ipv4/ip_*.c; net/ipv6/ip6_*.c
import { equal, formatAddr, isZeronet, type Addr, type Word } from '../net/addr.ts';
import { TCP } from '../net/proto.ts';
import type { Span } from '../model/finding.ts';
import type { Namespace } from '../model/host.ts';
import type { Packet } from '../model/packet.ts';
import { CT_STATE, CT_STATUS, type AssignedField, type ChainType, type Hook, type Pred, type Table } from '../model/ruleset.ts';
import type { OutcomeKind, Step } from '../model/trace.ts';
import { called, walkChain, type Visitor } from './chain.ts';
import { NOT, type Choices } from './choice.ts';
import { prescribe, supposeState, track, tupleOf, type Connection, type Direction, type Entry, type Manip } from './conntrack.ts';
import { Fib } from './fib.ts';
import { clashed, misplaced, stopOf } from './ending.ts';
import { chainType, stagesAt, tracksConnections, translatesAddresses } from './hooks.ts';
import { meetReply, trackedAfter, type Handled, type Meeting } from './ipvs.ts';
import { looksAtMarks } from './marks.ts';
import { BOUND_ELSEWHERE, masqueradeAddress, mayBeBoundElsewhere } from './masquerade.ts';
import { bind, endpoint, loopbackOf, translate, translateError, type NatStatement } from './nat.ts';
import { rangeOf } from './natrange.ts';
import type { DeviceField, Seen, Sight } from './sight.ts';
import { clampedMss, martianBeforeHooks, mtuOf, place, routeInput, routeOutput, unforwardable, type Router, type Way } from './routing.ts';
import { assign, carryOut, type Effect, type Passing } from './statement.ts';
import { isSameSeen, NOTHING_SUPPOSED, sightOf } from './sight.ts';
import { setting } from './sysctl.ts';
import type { Carried } from './tunnel.ts';
import { missingRules, missingServers, unreadChains } from './unseen.ts';
import type { UnknownDevices, Walk } from './walk.ts';
import { watchTranslation, type Watch } from './watch.ts';
import { bridgeCalls, bridgeKey, isBridge } from './wire.ts';
import { DEFAULT_ZONE, zoneFor, type AskedZone } from './zone.ts';

/** How a visit ends: here, or out of an interface. */
export type Passage =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'out'; readonly device: string | undefined; readonly via?: Addr; readonly way: Way }
  /** On to another port of the bridge it came in by; `to` is whom it is for now, where the rules changed that. */
  | { readonly kind: 'bridged'; readonly to?: Addr }
  /** On inside another packet, which IPVS made. */
  | (Extract<Handled, { kind: 'wrapped' }> & { readonly device: string })
  | { readonly kind: 'refused'; readonly outcome: OutcomeKind; readonly why: string; readonly at?: Span };

type Stop = Extract<Passage, { kind: 'refused' }>;

export class Visit implements Visitor, Router {
  readonly steps: Step[] = [];
  readonly choices: Choices;
  readonly all: boolean;
  hook: Hook = 'PREROUTING';
  table: Table | undefined;
  type: ChainType = 'filter';
  packet: Packet;
  private readonly ns: Namespace;
  private readonly walk: Walk;
  private readonly usesConntrack: boolean;
  private readonly visit: string;
  readonly devices: UnknownDevices;
  private iif: string | undefined;
  private oif: string | undefined = '';
  /** The bridge port it came in by, where br_netfilter shows it to the rules: '' for none, undefined when not known. */
  private physin: string | undefined = '';
  private physout = '';
  private redirected = false;
  /** IPVS has dealt with it (skb->ipvs_property). */
  balanced = false;
  private tunnel: string | undefined;
  private connection: Connection | undefined;
  private zone: AskedZone = DEFAULT_ZONE;
  /** CT was met, conntrack has not looked yet. */
  private template = false;
  private out: Way | undefined;
  private plain: { readonly of: Seen; readonly sight: Sight } | undefined;

  /** `devices` is what other packets on the same way already supposed of unknown devices. */
  constructor(ns: Namespace, packet: Packet, walk: Walk, devices: UnknownDevices = { iif: [], oif: [], physin: [], physout: [] }) {
    this.devices = devices;
    this.ns = ns;
    this.packet = packet;
    this.walk = walk;
    this.choices = walk.choices;
    this.all = walk.all;
    this.usesConntrack = tracksConnections(ns, packet.family);
    this.visit = walk.nextVisit();
    walk.watch?.asked(ns);
  }

  /** A packet that came in by `device` (undefined when nobody knows which); `port` is the port of the bridge that `device` is. */
  receive(device: string | undefined, port?: string): Passage {
    this.iif = device;
    if (device !== undefined) this.physin = this.portSeen(device, port);
    this.steps.push({ step: 'enter', local: false, ...(device !== undefined && { device }), packet: this.packet });
    return (
      this.runHook('INGRESS') ??
      martianBeforeHooks(this.ns, this.packet, device) ??
      missingRules(this.ns, this.packet.family, this) ??
      this.arrive() ??
      this.routeAndGo()
    );
  }

  /** br_nf_pre_routing(): the bridge port stays known while the packet is in this namespace. */
  private portSeen(device: string, port: string | undefined): string | undefined {
    if (!isBridge(this.ns, device)) return '';
    const calls = bridgeCalls(this.ns, device, this.packet.family);
    return calls === false ? '' : calls === true ? port : undefined;
  }

  /** A frame for somebody else that a bridge takes in by `port` and br_netfilter shows to the rules. */
  bridge(device: string, port: string): Passage {
    this.iif = device;
    this.physin = port;
    this.steps.push({ step: 'enter', local: false, device, packet: this.packet });
    // what is redirected is the host's to send on; everything else stays a frame
    return (
      this.runHook('INGRESS') ??
      missingRules(this.ns, this.packet.family, this) ??
      this.arrive() ??
      (this.redirected ? this.routeAndGo() : { kind: 'bridged' })
    );
  }

  /** br_nf_forward() and br_nf_post_routing(): the rules see the bridge on both sides, and no input device in POSTROUTING. */
  bridgeOut(device: string, port: string): Passage | undefined {
    this.oif = device;
    this.physout = port;
    const stopped = this.runHook('FORWARD');
    if (stopped) return stopped;
    this.iif = '';
    return this.runHook('POSTROUTING');
  }

  /**
   * A redirected frame comes up to the host after all: it has its route already, and PREROUTING is behind it (ip_sabotage_in()).
   * Where only promiscuity brings it up it comes without its connection: br_nf_local_in(), since Linux 6.9.
   */
  routeBridged(promiscuous: boolean): Passage {
    if (promiscuous) this.connection = undefined;
    return this.out ? this.forward(this.out) : this.routeAndGo();
  }

  /** A packet that a socket here sends, or a tunnel; `bound` tells whether its source address is settled, `settled` is its way where that was chosen before. */
  send(bound: boolean, inside?: Pick<Carried, 'input' | 'balanced'>, settled?: Way): Passage {
    this.tunnel = inside?.input;
    // a packet's packet keeps the mark of IPVS (skb_scrub_packet() in one namespace)
    this.balanced = inside?.balanced ?? false;
    this.iif = '';
    const toItself = this.packet.undetermined?.dst === undefined && isZeronet(this.packet.dst);
    if (toItself) this.packet = { ...this.packet, dst: bound ? this.packet.src : loopbackOf(this.packet) };
    // where nobody knows which addresses are local, OUTPUT may yet change the destination: that question can wait
    const waits = !Fib.of(this.ns, this.packet.family).knowsLocal;
    const first = settled ?? routeOutput(this.ns, this.packet, bound, waits ? { ...this.router(), decide: () => false } : this);
    if (first.kind === 'refused') {
      if (!bound) this.packet = this.fromUnknown();
      this.steps.push({ step: 'enter', local: true, packet: this.packet });
      return this.refuseRoute('output', first);
    }
    if (!bound) this.packet = first.src !== undefined ? { ...this.packet, src: first.src } : this.fromUnknown();
    this.steps.push({ step: 'enter', local: true, packet: this.packet });
    this.take('output', first);
    const stopped = missingRules(this.ns, this.packet.family, this) ?? this.runHook('OUTPUT');
    return stopped ?? (waits && this.out === first ? this.reroute() : undefined) ?? this.depart();
  }

  /** dst_output(): by POSTROUTING out, or back in by the loopback device. */
  private depart(iif?: string): Passage {
    const stopped = this.postrouting(iif);
    if (stopped) return stopped;
    if (this.out?.kind !== 'local') return (this.balanced ? undefined : this.tooBigHere()) ?? this.leave();
    // conntrack and the route stay with the packet (loopback_xmit())
    this.iif = 'lo';
    this.oif = '';
    // an invalid packet has no connection to keep: conntrack looks again, perhaps in another zone
    if (this.connection?.state === CT_STATE.INVALID) this.connection = undefined;
    const { dst } = this.packet;
    return this.arrive() ?? (equal(dst, this.packet.dst) ? this.deliver() : this.routeAndGo());
  }

  private fromUnknown(): Packet {
    return { ...this.packet, undetermined: { ...this.packet.undetermined, src: { what: `an address of ${place(this.ns)}`, owner: place(this.ns) } } };
  }

  /** Sends on what routing decided; the device is named for whoever resolves neighbours. */
  private leave(): Passage {
    const way = this.out!;
    this.oif = way.device;
    return this.runHook('EGRESS') ?? { kind: 'out', device: way.device, ...(way.via !== undefined && { via: way.via }), way };
  }

  private arrive(): Passage | undefined {
    return this.runHook('PREROUTING');
  }

  private routeAndGo(): Passage {
    const way = routeInput(this.ns, this.packet, this.iif, this);
    // without ip_forward ip_route_input() succeeds with a route that refuses: nothing is bridged then
    if (way.kind === 'refused') return this.refuseRoute('input', way);
    this.take('input', way);
    const bridged = this.physin !== '' && this.redirected ? this.backToBridge(way) : undefined;
    if (bridged) return bridged;
    return way.kind === 'local' ? this.deliver() : this.forward(way);
  }

  private deliver(): Passage {
    this.oif = '';
    const stopped = this.runHook('INPUT');
    if (stopped) return stopped;
    this.steps.push({ step: 'deliver', packet: this.packet });
    return { kind: 'delivered' };
  }

  /** ip_forward(): TTL and size are checked, and the TTL lowered, before the FORWARD chains see the packet. */
  private forward(way: Way): Passage {
    if (this.packet.ttl <= 1)
      return { kind: 'refused', outcome: 'ttl-exceeded', why: `its TTL reached 0 at ${place(this.ns)}, which answers ICMP time exceeded` };
    // ip6_forward() looks at the source unless the packet leaves as it came
    const refused = way.device === this.iif ? undefined : unforwardable(this.ns, this.packet);
    if (refused) return refused;
    // ip6_forward() asks the device, a route's own MTU counts in ip6_fragment()
    const six = this.packet.family === 6;
    const tooBig = this.tooBig(way, six);
    if (tooBig) return tooBig;
    this.packet = { ...this.packet, ttl: this.packet.ttl - 1 };
    const stopped = this.runHook('FORWARD');
    if (stopped) return stopped;
    // IPVS may have routed a reply to this host
    if (this.out?.kind === 'local') return this.depart();
    return this.postrouting() ?? (six ? this.tooBig(way) : undefined) ?? this.leave();
  }

  /** br_nf_pre_routing_finish(): what is redirected to another port of the bridge it came from is bridged there, not routed. */
  private backToBridge(way: Way): Passage | undefined {
    if (way.kind !== 'forward' || way.device !== this.iif) return undefined;
    if (this.physin === undefined) {
      const where = `${way.device ?? 'the bridge'} of ${place(this.ns)}`;
      const key = bridgeKey(this.ns, way.device ?? '', this.packet.family);
      if (!this.decide(key, `frames on ${where} meet the iptables rules (net.bridge.bridge-nf-call-iptables was not captured)`)) return undefined;
    }
    return { kind: 'bridged', to: way.via ?? this.packet.dst };
  }

  /** The packet is taken not to be fragmented (DF), as TCP sends it. */
  private tooBig(way: Way, ofDevice = false): Stop | undefined {
    const limit = mtuOf(this.ns, way, ofDevice);
    if (!limit || this.packet.length <= limit.mtu) return undefined;
    const told = this.iif === '' ? '' : `, which answers ICMP ${this.packet.family === 4 ? 'fragmentation needed' : 'packet too big'}`;
    const why = `${this.packet.length} bytes do not fit the MTU ${limit.mtu} of ${way.device ?? '?'} on ${place(this.ns)}${told}`;
    return { kind: 'refused', outcome: 'too-big', why, ...(limit.at && { at: limit.at }) };
  }

  /** A socket's own datagrams are cut to fit; a TCP segment is never sent larger than the device takes. */
  private tooBigHere(): Stop | undefined {
    return this.packet.proto === TCP ? this.tooBig(this.out!) : undefined;
  }

  /** IPVS at its place in a hook: what it takes out of there goes on at OUTPUT, as if this host sent it. */
  private balance(meet: (m: Meeting) => Handled): Passage | undefined {
    // skb->ipvs_property: once is enough
    if (this.balanced) return undefined;
    const { ns, hook, packet, iif, out, connection, choices } = this;
    const handled = meet({ ns, table: this.walk.ipvs(ns), hook, packet, iif, out, connection, router: this, choices });
    if (handled.step) this.steps.push(handled.step);
    if (handled.kind === 'passed') {
      this.balanced = handled.marked ?? false;
      return undefined;
    }
    if (handled.kind === 'refused') return handled.refusal;
    const toServer = meet !== meetReply;
    this.balanced = true;
    this.packet = handled.packet;
    this.connection = trackedAfter(connection, handled.connection, toServer);
    switch (handled.kind) {
      case 'kept':
        return handled.reroute ? this.reroute() : undefined;
      case 'wrapped':
        // ip_vs_tunnel_xmit_prepare()
        return this.confirm() ?? { ...handled, device: iif ?? '' };
      case 'sent':
        this.take('reroute', handled.way);
        this.oif = handled.way.device;
        // NF_HOOK() names no input device; ip_output() does
        this.iif = '';
        return this.runHook('OUTPUT') ?? this.depart(iif);
    }
  }

  private postrouting(iif = this.tunnel ?? this.iif): Passage | undefined {
    // ip_output(): what a tunnel device sends still has that device as its input
    this.iif = iif;
    this.oif = this.out?.device;
    return this.runHook('POSTROUTING');
  }

  private take(purpose: 'input' | 'output' | 'reroute', way: Way): void {
    const isSame = purpose === 'reroute' && this.out?.text === way.text;
    this.out = way;
    // the OUTPUT hook was entered with the first route's device, and its later tables still see that one
    if (purpose !== 'reroute') this.oif = way.kind === 'local' && purpose === 'input' ? '' : way.device;
    const result =
      way.kind === 'local'
        ? purpose === 'input'
          ? 'for this host'
          : 'to itself'
        : `${way.device ?? 'an unknown interface'}${way.via === undefined ? '' : ` via ${formatAddr(way.via)}`}`;
    if (isSame) return;
    this.steps.push({ step: 'route', purpose, result, text: way.text, ...(way.at && { at: way.at }), ...(way.rule && { rule: way.rule }) });
  }

  private refuseRoute(purpose: 'input' | 'output' | 'reroute', refused: Stop): Stop {
    this.steps.push({ step: 'route', purpose, result: refused.outcome, text: refused.why, ...(refused.at && { at: refused.at }) });
    return refused;
  }

  /** What ends the packet's way through the hook; where IPVS sends it elsewhere, the rest of its visit. */
  private runHook(hook: Hook): Passage | undefined {
    this.hook = hook;
    const unseen = unreadChains(this.ns, hook, this.packet.family, this) ?? (hook === 'INPUT' ? missingServers(this.ns, this.packet) : undefined);
    if (unseen) return unseen;
    for (const stage of stagesAt(this.ns, hook, this.packet.family, this.usesConntrack, this.choices, hook === 'EGRESS' ? this.oif : this.iif)) {
      switch (stage.kind) {
        case 'conntrack':
          this.track();
          break;
        case 'confirm': {
          const stopped = this.confirm();
          if (stopped) return stopped;
          break;
        }
        case 'nat': {
          const stopped = this.translateAt(stage.manip, stage.chains);
          if (stopped) return stopped;
          break;
        }
        case 'ipvs': {
          const elsewhere = this.balance(stage.meet);
          if (elsewhere) return elsewhere;
          break;
        }
        case 'table': {
          const before = this.packet;
          const verdict = walkChain(stage.table, stage.chain, this);
          const stopped = verdict.kind === 'nat' ? misplaced(verdict.where, verdict.rule.at) : stopOf(verdict);
          if (stopped) return stopped;
          if (hook === 'OUTPUT' && chainType(stage.table, stage.chain) === 'route' && changesRoute(before, this.packet)) {
            const lost = this.reroute();
            if (lost) return lost;
          }
        }
      }
    }
    return undefined;
  }

  /** __nf_conntrack_confirm(), nf_ct_resolve_clash(): two connections cannot share a tuple. */
  private confirm(): Stop | undefined {
    if (!this.connection || !('entry' in this.connection) || this.connection.entry.confirmed) return undefined;
    const table = this.walk.connections(this.ns);
    const { entry } = this.connection;
    if (table.holder(entry.reply, entry)) return clashed(entry.cause.src ?? entry.cause.dst);
    table.confirm(entry);
    return undefined;
  }

  /** nf_conntrack_in() */
  private track(): void {
    if (this.connection && !this.template) return;
    this.template = false;
    const loose = setting(this.ns, 'net.netfilter.nf_conntrack_tcp_loose', 1).value !== 0;
    const prescribed = this.walk.takePrescribedState();
    const begins = (old: Entry): boolean => {
      const what = "the SYN opens the closed connection anew (a FIN ended it, or its own side's RST)";
      return this.choices.choose(undefined, [
        { value: true, what, ...(old.at && { at: old.at }) },
        { value: false, what: `${NOT}${what}`, ...(old.at && { at: old.at }) },
      ]);
    };
    const found = track(this.walk.connections(this.ns), this.asTracked(), zoneFor(this.zone, this.packet.mark), loose, begins);
    const state = prescribed ?? supposeState(found, this.packet, this.choices);
    const why = prescribed === undefined ? 'supposed' : 'prescribed by the question';
    this.connection = state === undefined ? found : prescribe(found, state, why);
    const c = this.connection;
    const name = STATES[c.state]!;
    if ('entry' in c) {
      this.steps.push({ step: 'conntrack', hook: this.hook, state: name, direction: c.direction, ...(c.entry.at && { at: c.entry.at }) });
    } else this.steps.push({ step: 'conntrack', hook: this.hook, state: name, why: c.why });
  }

  /** A tunnel's source port is a hash of what it carries: its packet may be of a connection that conntrack holds. */
  private asTracked(): Packet {
    const range = this.tunnel === undefined ? undefined : this.packet.undetermined?.sport;
    const held = range && this.walk.connections(this.ns).among(tupleOf(this.packet), range);
    if (!held) return this.packet;
    const what = `the packet that carries it is the first of its flow (its source port is none that conntrack of ${place(this.ns)} holds)`;
    return this.decide(`flow:${this.visit}`, what) ? this.packet : { ...this.packet, sport: held.orig.sport };
  }

  /** nf_nat_inet_fn(): binds a new connection once per manipulation, then rewrites as the bindings say. */
  private translateAt(
    manip: Manip,
    chains: readonly { table: Namespace['tables'][number]; chain: Parameters<typeof walkChain>[1] }[],
  ): Stop | undefined {
    const c = this.connection;
    if (!c || !('entry' in c)) return undefined;
    const { entry, direction } = c;
    const table = this.walk.connections(this.ns);
    let clash = false;
    const isOn = translatesAddresses(this.ns, this.packet.family);
    if (!isOn && entry.status & (CT_STATUS.SNAT | CT_STATUS.DNAT)) {
      const what = `address translation is on in ${place(this.ns)}, as a connection shows: of its nat chains none was captured`;
      if (!this.decide(`nat:${place(this.ns)}:${this.packet.family}`, what)) return undefined;
    }
    if (c.related && this.packet.inner) return this.translateErrorAt(entry, direction, manip);
    if ((c.state === CT_STATE.NEW || c.state === CT_STATE.RELATED) && !entry.bound[manip]) {
      for (const { table: rules, chain } of chains) {
        const verdict = walkChain(rules, chain, this);
        if (verdict.kind === 'nat') {
          const refused = this.bindRule(verdict.statement, manip, verdict.rule.at, `${called(rules)} ${verdict.where}`);
          if (refused) return refused;
        } else {
          const stopped = stopOf(verdict);
          if (stopped) return stopped;
        }
        if (entry.bound[manip]) break;
      }
      // without address translation nothing moves a port that is taken
      if (!isOn) entry.bound[manip] = true;
      if (!entry.bound[manip]) clash = bind(table, entry, manip, undefined, undefined).clash;
    } else if (manip === 'src' && this.hook === 'POSTROUTING' && direction === 'original') {
      const elsewhere = this.boundElsewhere(entry);
      if (elsewhere) return elsewhere;
    }
    const before = this.packet;
    const after = translate(before, entry, direction, manip);
    // looping back through lo, the packet meets its translation again and is as it should be
    if (after && endpoint(after, manip) === endpoint(before, manip)) this.packet = after;
    else if (after) {
      this.packet = after;
      if (manip === 'dst') this.redirected = true;
      const cause = entry.cause[direction === 'original' ? manip : manip === 'src' ? 'dst' : 'src'];
      this.steps.push({
        step: 'nat',
        hook: this.hook,
        manip,
        from: endpoint(before, manip),
        to: endpoint(after, manip),
        because: clash ? 'clash' : c.state === CT_STATE.NEW && direction === 'original' && cause?.at !== entry.at ? 'rule' : 'connection',
        ...(cause?.at && { at: cause.at }),
        why: clash ? 'another connection holds this tuple, so the kernel moved the port' : (cause?.by ?? 'the connection is translated'),
      });
    }
    return isOn ? this.routeAgain(entry, direction) : undefined;
  }

  /** nf_nat_oif_changed(): what was masqueraded may leave by that interface alone. */
  private boundElsewhere(entry: Entry): Stop | undefined {
    const refused: Stop = { kind: 'refused', outcome: 'dropped', why: BOUND_ELSEWHERE, ...(entry.at && { at: entry.at }) };
    if (entry.masqueradedBy !== undefined) return entry.masqueradedBy === this.oif ? undefined : refused;
    if (!mayBeBoundElsewhere(this.ns, entry, masqueradeAddress(this.ns, this.packet, this.oif, this.out?.via))) return undefined;
    const same = `the connection that has the source ${formatAddr(entry.reply.dst)} got it from SNAT, or has left by ${this.oif} before`;
    return this.decide(`oif:${this.visit}`, same) ? undefined : refused;
  }

  /** nf_nat_icmp_reply_translation(), nf_nat_ipv4_local_fn(). */
  private translateErrorAt(entry: Entry, direction: Direction, manip: Manip): Stop | undefined {
    const before = this.packet;
    if (before.icmp?.type === REDIRECT && before.family === 4 && entry.status & (CT_STATUS.SNAT | CT_STATUS.DNAT)) {
      const { at } = entry.cause.dst ?? entry.cause.src ?? {};
      return { kind: 'refused', outcome: 'dropped', why: 'NAT drops ICMP redirects about translated connections', ...(at && { at }) };
    }
    this.packet = translateError(before, entry, direction, manip) ?? before;
    return this.routeAgain(entry, direction);
  }

  /** nf_nat_ipv4_local_fn() routes again where the tuples differ: also where IPVS, not NAT, has changed the destination. */
  private routeAgain({ orig, reply }: Entry, direction: Direction): Stop | undefined {
    const isChanged = direction === 'original' ? !equal(orig.dst, reply.src) : !equal(reply.dst, orig.src);
    return this.hook === 'OUTPUT' && isChanged ? this.reroute() : undefined;
  }

  /** Carries out a NAT target on the packet's connection. */
  private bindRule(statement: NatStatement, manip: Manip, at: Span, by: string): Stop | undefined {
    const c = this.connection;
    if (!c || !('entry' in c)) return undefined;
    const wanted: Manip = statement.kind === 'snat' || statement.kind === 'masquerade' ? 'src' : statement.kind === 'netmap' ? manip : 'dst';
    if (wanted !== manip) return misplaced(by, at);
    const { ns, packet, hook, iif, oif } = this;
    if (statement.kind === 'masquerade') c.entry.masqueradedBy = oif;
    const range = rangeOf(statement, c.entry, manip, { ns, packet, hook, iif, oif, via: this.out?.via });
    if ('refused' in range) return { kind: 'refused', outcome: 'dropped', why: range.refused, at };
    if (this.watch) watchTranslation(this.watch, packet, manip, range, by);
    bind(this.walk.connections(this.ns), c.entry, manip, range, { at, by });
    return undefined;
  }

  /** ip_route_me_harder(): the source stays as it was chosen. */
  private reroute(): Stop | undefined {
    const way = routeOutput(this.ns, this.packet, true, this, true);
    if (way.kind === 'refused') return this.refuseRoute('reroute', way);
    this.take('reroute', way);
    return undefined;
  }

  sight(supposed: ReadonlyMap<Pred, boolean>): Sight {
    const { ns, visit, packet, hook, iif, oif, physin, physout, connection, balanced, devices, choices, table } = this;
    const of = { ns, visit, packet, hook, iif, oif, physin, physout, connection, balanced, devices, choices, table };
    // rule after rule sees the same packet: what was seen without suppositions is seen again
    const isPlain = supposed.size === 0 && !balanced;
    if (isPlain && this.plain && isSameSeen(this.plain.of, of)) return this.plain.sight;
    const kept = { sets: this.walk.sets(ns), nftSets: this.walk.nftSets, servers: this.walk.ipvs(ns), router: this, watch: this.watch };
    const sight = sightOf(of, kept, isPlain ? NOTHING_SUPPOSED : supposed);
    if (isPlain) this.plain = { of, sight };
    return sight;
  }

  /** Hears which packets would have been decided alike. */
  get watch(): Watch | undefined {
    return this.walk.watch;
  }

  assign(to: AssignedField, value: Word): string | undefined {
    return this.undergo(assign(to, value, this.packet, this.connection));
  }

  marksMatter(): boolean {
    return looksAtMarks(this.ns);
  }

  supposeName(field: DeviceField, glob: string, matches: boolean): void {
    this.devices[field].push({ glob, matches });
  }

  apply(statement: Passing): string | undefined {
    const effect = carryOut(statement, this.packet, this.connection);
    if (statement.kind === 'tcpmss' && (this.packet.flags ?? 0) & 2) {
      const bytes = statement.mss === 'clamp' ? clampedMss(this.ns, this.packet.family, this.out, this.iif) : statement.mss;
      if (bytes !== undefined)
        this.choices.assume(`the answer comes in segments of at most ${bytes} bytes: TCPMSS of ${place(this.ns)} says so in the SYN`);
    }
    return this.undergo(effect);
  }

  private undergo(effect: Effect): string | undefined {
    this.packet = effect.packet ?? this.packet;
    this.connection = effect.connection ?? this.connection;
    this.zone = effect.zone ?? this.zone;
    this.template = effect.template ?? this.template;
    return effect.did;
  }

  // Router: what routing asks and notes
  private router(): Router {
    return {
      decide: (key, what) => this.decide(key, what),
      pick: this.pick,
      assume: (what, at) => this.assume(what, at),
      note: (step) => this.note(step),
    };
  }

  decide(key: string, what: string): boolean {
    return this.choices.choose(key, [
      { value: true, what },
      { value: false, what: `${NOT}${what}` },
    ]);
  }

  pick: Router['pick'] = (key, hops, route) => {
    const total = hops.reduce((sum, h) => sum + h.weight, 0);
    return this.choices.choose(
      key,
      hops.map((h) => ({
        value: h,
        probability: h.weight / total,
        what: `next hop ${h.via === undefined ? '' : `${formatAddr(h.via)} `}dev ${h.device ?? '?'} of '${route.text}'`,
        at: route.at,
      })),
    );
  };

  assume(what: string, at?: Span): void {
    this.choices.assume(what, at);
  }

  note(step: Step): void {
    this.steps.push(step);
  }
}

const STATES = Object.fromEntries(Object.entries(CT_STATE).map(([name, n]) => [n, name]));

function changesRoute(a: Packet, b: Packet): boolean {
  return a.mark !== b.mark || a.tos !== b.tos || formatAddr(a.src) !== formatAddr(b.src) || formatAddr(a.dst) !== formatAddr(b.dst);
}

/** The type of an ICMP redirect. */
const REDIRECT = 5;
